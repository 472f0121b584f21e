"""Whether all sealed data can be decrypted with the key ring, and the signing keys match (S13, S14)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from czo_auth.core.flows.administration.sealed_rows import (
    Envelope,
    codes_of_enrollment,
    idempotent_answer_of,
    key_of_device,
    private_part_of,
    secret_of_enrollment,
    secret_of_factor,
    secret_of_webhook,
)
from czo_auth.core.flows.services import Services
from czo_auth.core.limits import MAX_LISTED_FAILURES
from czo_auth.core.sessions.store import StoredSigningKey
from czo_auth.core.transaction import Transaction
from czo_auth.crypto import jwt
from czo_auth.crypto.sealing import KeyRing, OpenError

BATCH: Final = 200


@dataclass(slots=True, kw_only=True)
class VerifiedRows:
    """
    One kind of sealed rows.

    Attributes:
        kind: ``factors``, ``enrollments``, ``signing keys``, ``webhook secrets``; and what rests for ten minutes at
            most and is not moved by a rotation, ``kept answers`` and ``device keys``.
        checked: Rows that were looked at.
        failed: Those that cannot be decrypted, or whose private key does not match the published one.
        ids: Some of the failed ones.
    """

    kind: str
    checked: int = 0
    failed: int = 0
    ids: list[str] = field(default_factory=list)

    def add(self, row_id: str, *, opens: bool) -> None:
        """Count a row."""
        self.checked += 1
        if not opens:
            self.failed += 1
            if len(self.ids) < MAX_LISTED_FAILURES:
                self.ids.append(row_id)


class VerifyKeys:
    """Opens every sealed row, in batches; changes nothing, and keeps no plaintext."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def run(self, on_progress: Callable[[int, int], None]) -> Sequence[VerifiedRows]:
        """
        Check all kinds.

        Rows written in the meantime may be missed; a running server is not disturbed.

        Args:
            on_progress: Called after each batch with the number of rows checked so far and the approximate total.
        """
        counted = await self._services.transactions.read(lambda tx: tx.two_factor.count_by_kid())
        total = sum(counted.values())
        kinds = (
            ("factors", _factors),
            ("enrollments", _enrollments),
            ("signing keys", _signing_keys),
            ("webhook secrets", _webhook_secrets),
            ("kept answers", _idempotent_answers),
            ("device keys", _device_keys),
        )
        verified: list[VerifiedRows] = []
        for kind, read in kinds:
            rows = VerifiedRows(kind=kind)
            verified.append(rows)
            after = ""
            while batch := await self._services.transactions.read(partial(_listed, read, after)):
                for row_id, check in batch:
                    rows.add(row_id, opens=check(self._services.key_ring))
                after = batch[-1][0]
                checked = sum(each.checked for each in verified)
                on_progress(checked, max(checked, total))
        return verified


_Check = Callable[[KeyRing], bool]
_Row = tuple[str, _Check]


def _listed(read: Callable[[Transaction, str], Iterable[_Row]], after: str, tx: Transaction) -> list[_Row]:
    return list(read(tx, after))


def _factors(tx: Transaction, after: str) -> Iterable[_Row]:
    for factor in tx.two_factor.sealed_after(after, limit=BATCH):
        yield factor.id, partial(_all_open, (secret_of_factor(factor),))


def _enrollments(tx: Transaction, after: str) -> Iterable[_Row]:
    for enrollment in tx.two_factor.enrollments_after(after, limit=BATCH):
        envelopes = (secret_of_enrollment(enrollment), codes_of_enrollment(enrollment))
        yield enrollment.id, partial(_all_open, tuple(filter(None, envelopes)))


def _signing_keys(tx: Transaction, after: str) -> Iterable[_Row]:
    for key in sorted(tx.sessions.signing_keys(), key=lambda key: key.kid):
        if key.kid > after:
            yield key.kid, partial(_signs, key)


def _webhook_secrets(tx: Transaction, after: str) -> Iterable[_Row]:
    for secret in tx.webhooks.sealed_after(after, limit=BATCH):
        yield secret.id, partial(_all_open, (secret_of_webhook(secret),))


def _idempotent_answers(tx: Transaction, after: str) -> Iterable[_Row]:
    for answer in tx.idempotency.sealed_after(after, limit=BATCH):
        yield answer.id, partial(_all_open, tuple(filter(None, (idempotent_answer_of(answer),))))


def _device_keys(tx: Transaction, after: str) -> Iterable[_Row]:
    for authorization in tx.device_authorizations.sealed_after(after, limit=BATCH):
        yield authorization.id, partial(_all_open, tuple(filter(None, (key_of_device(authorization),))))


def _all_open(envelopes: Sequence[Envelope], ring: KeyRing) -> bool:
    try:
        for envelope in envelopes:
            envelope.open(ring)
    except OpenError:
        return False
    return True


def _signs(key: StoredSigningKey, ring: KeyRing) -> bool:
    """Whether the private key can be decrypted and matches the published public key."""
    try:
        pem = private_part_of(key).open(ring)
        return jwt.SigningKey(kid=key.kid, private_pem=pem).public_jwk() == key.public_jwk
    except (OpenError, ValueError):
        return False
