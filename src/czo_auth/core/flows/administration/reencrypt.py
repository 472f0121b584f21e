"""Re-encrypting all sealed data with the primary encryption key, while the server runs (S14)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from czo_auth.core.flows.administration.sealed_rows import (
    codes_of_enrollment,
    private_part_of,
    secret_of_enrollment,
    secret_of_factor,
    secret_of_webhook,
)
from czo_auth.core.flows.services import Services
from czo_auth.core.sessions.store import StoredSigningKey
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.factor import Enrollment, TotpFactor
from czo_auth.core.webhooks.webhook import WebhookSecret
from czo_auth.crypto.sealing import KeyRing

BATCH: Final = 100
"""Rows per transaction, so that other writers wait a few milliseconds at most."""
_PASSES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRows:
    """
    How many rows one key seals.

    Attributes:
        configured: Whether the key is on the ring.
    """

    kid: str
    primary: bool
    configured: bool
    factors: int
    enrollments: int
    signing_keys: int
    webhook_secrets: int

    @property
    def total(self) -> int:
        """Rows of all kinds."""
        return self.factors + self.enrollments + self.signing_keys + self.webhook_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Reencrypted:
    """
    What a rotation did.

    Attributes:
        moved: Rows that are sealed with the primary key now.
        left: Rows that are not: they cannot be decrypted, or a process with another primary key wrote them in the
            meantime.
    """

    moved: int
    left: int


_Step = Callable[[Transaction], bool]
"""Writes one row back under the primary key; False if it was changed in the meantime."""


class _Reading(Protocol):
    def __call__(self, tx: Transaction, *, ring: KeyRing, after: str) -> Iterable[tuple[str, _Step | None]]:
        """Read a batch beyond *after*, in order: each row's place, and its step if it has to move."""


class Reencrypt:
    """
    Counts what each key seals, and moves it to the primary one.

    Each row is replaced only if it has not changed since it was read, so that a server that writes at the same time
    loses nothing. Rows that cannot be decrypted stay as they are (S13). An interrupted run can be repeated and
    continues where it stopped.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def status(self) -> Sequence[SealedRows]:
        """Count the sealed rows of each key: those of the ring in their order, then others that rows name."""
        counted = await self._services.transactions.read(lambda tx: tx.two_factor.count_sealed())
        ring = self._services.key_ring
        kids = [*ring.kids, *sorted(set(counted) - set(ring.kids))]
        return [_rows_of(kid, counted.get(kid, {}), ring) for kid in kids]

    async def run(self, on_progress: Callable[[int, int], None]) -> Reencrypted:
        """
        Move every row.

        Args:
            on_progress: Called after each batch with the number of rows moved so far and the approximate total.
        """
        total = left = await self._count_left()
        moved = passes = 0
        while left and passes < _PASSES:
            passes, before = passes + 1, moved
            for read in (_factors, _enrollments, _signing_keys, _webhook_secrets):
                after: str | None = ""
                while after is not None:
                    more, after = await self._batch(read, after)
                    moved += more
                    on_progress(moved, max(total, moved))
            left = await self._count_left()
            if moved == before:
                break
        return Reencrypted(moved=moved, left=left)

    async def _count_left(self) -> int:
        return sum(rows.total for rows in await self.status() if not rows.primary)

    async def _batch(self, read: _Reading, after: str) -> tuple[int, str | None]:
        """Move one batch; answer how many rows moved, and where the next one begins."""
        ring = self._services.key_ring
        rows = await self._services.transactions.read(lambda tx: list(read(tx, ring=ring, after=after)))
        steps = [step for _, step in rows if step is not None]
        moved = await self._services.transactions.run(partial(_take, steps)) if steps else 0
        return moved, rows[-1][0] if rows else None


def _take(steps: Sequence[_Step], tx: Transaction) -> int:
    return sum(step(tx) for step in steps)


# --- the kinds of rows ---


def _factors(tx: Transaction, *, ring: KeyRing, after: str) -> Iterable[tuple[str, _Step | None]]:
    for factor in tx.two_factor.sealed_after(after, limit=BATCH):
        yield factor.id, _factor_step(factor, ring)


def _factor_step(factor: TotpFactor, ring: KeyRing) -> _Step | None:
    old = factor.sealed_secret
    new = secret_of_factor(factor).reencrypted(ring)
    return None if new == old else lambda tx: tx.two_factor.reencrypt_factor(factor.id, old=old, new=new)


def _enrollments(tx: Transaction, *, ring: KeyRing, after: str) -> Iterable[tuple[str, _Step | None]]:
    for enrollment in tx.two_factor.enrollments_after(after, limit=BATCH):
        yield enrollment.id, _enrollment_step(enrollment, ring)


def _enrollment_step(old: Enrollment, ring: KeyRing) -> _Step | None:
    secret = secret_of_enrollment(old).reencrypted(ring)
    sealed_codes = codes_of_enrollment(old)
    codes = old.sealed_codes if sealed_codes is None else sealed_codes.reencrypted(ring)
    if (secret, codes) == (old.sealed_secret, old.sealed_codes):
        return None
    return lambda tx: tx.two_factor.reencrypt_enrollment(old, sealed_secret=secret, sealed_codes=codes)


def _signing_keys(tx: Transaction, *, ring: KeyRing, after: str) -> Iterable[tuple[str, _Step | None]]:
    for key in sorted(tx.sessions.signing_keys(), key=lambda key: key.kid):
        if key.kid > after:
            yield key.kid, _signing_key_step(key, ring)


def _signing_key_step(key: StoredSigningKey, ring: KeyRing) -> _Step | None:
    old = key.sealed_private_key
    new = private_part_of(key).reencrypted(ring)
    return None if new == old else lambda tx: tx.sessions.reencrypt_signing_key(key.kid, old=old, new=new)


def _webhook_secrets(tx: Transaction, *, ring: KeyRing, after: str) -> Iterable[tuple[str, _Step | None]]:
    for secret in tx.webhooks.sealed_after(after, limit=BATCH):
        yield secret.id, _webhook_secret_step(secret, ring)


def _webhook_secret_step(secret: WebhookSecret, ring: KeyRing) -> _Step | None:
    old = secret.sealed_secret
    new = secret_of_webhook(secret).reencrypted(ring)
    return None if new == old else lambda tx: tx.webhooks.reencrypt_secret(secret.id, old=old, new=new)


def _rows_of(kid: str, counted: Mapping[str, int], ring: KeyRing) -> SealedRows:
    return SealedRows(
        kid=kid,
        primary=kid == ring.primary,
        configured=kid in ring.kids,
        factors=counted.get("factors", 0),
        enrollments=counted.get("enrolments", 0),
        signing_keys=counted.get("signing_keys", 0),
        webhook_secrets=counted.get("webhook_secrets", 0),
    )
