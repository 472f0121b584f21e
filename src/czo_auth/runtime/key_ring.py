"""Whether the encryption key is the one that this database was sealed with (S11, S14)."""

from __future__ import annotations

from czo_auth.core.transaction import Transaction
from czo_auth.crypto.sealing import KeyRing, KeyRingError
from czo_auth.errors import StartRefused
from czo_auth.settings import Settings


def read_key_ring(settings: Settings) -> KeyRing:
    """
    Read the key ring of *settings*.

    Raises:
        StartRefused: It does not exist, or it is malformed.
    """
    if settings.encryption_key is None or not settings.encryption_key.get_secret_value().strip():
        raise StartRefused(
            "AUTH_ENCRYPTION_KEY is missing: set it to the output of `czo-auth keys generate`, "
            "or to the key that this database was first started with."
        )
    try:
        return KeyRing.parse(settings.encryption_key.get_secret_value().strip())
    except KeyRingError as error:
        raise StartRefused(f"AUTH_ENCRYPTION_KEY is malformed: {error}") from None


def check_key_ring(tx: Transaction, key_ring: KeyRing) -> None:
    """
    Compare *key_ring* with the check values in the database, and store those of new keys.

    Raises:
        StartRefused: A key is not the one of that name, or one that still seals rows is missing.
    """
    known = tx.key_checks.find_all()
    for kid in key_ring.kids:
        if kid not in known and not tx.key_checks.add(kid, key_ring.check_value(kid), now=tx.now):
            # Another process started at the same moment; its key is the one that counts.
            known = tx.key_checks.find_all()
        if known.get(kid, key_ring.check_value(kid)) != key_ring.check_value(kid):
            raise StartRefused(
                f"AUTH_ENCRYPTION_KEY is wrong: its key {kid!r} is not the one that this database was sealed with."
            )
    missing = set(known) - set(key_ring.kids)
    if missing:
        tx.two_factor.prune_expired(before=tx.now)
        _refuse_if_in_use(tx, missing)


def _refuse_if_in_use(tx: Transaction, missing: set[str]) -> None:
    counted = tx.two_factor.count_by_kid()
    for kid in sorted(missing):
        if counted.get(kid):
            raise StartRefused(
                f"AUTH_ENCRYPTION_KEY lacks the key {kid!r}, which still seals {counted[kid]} rows: "
                "put it back at the end of the list and run `czo-auth keys rotate`."
            )
        tx.key_checks.remove(kid)
