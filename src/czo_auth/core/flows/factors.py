"""
What a factor is, in one place: an authenticator app or a passkey.

Every rule that asks whether someone has a second factor, which ones, or that ends them, asks here or reads
`User.has_factor` (two factors are on) and `User.owns_factor` (a demand for two factors is met).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.flows.services import Services
from czo_auth.core.passkeys.passkey import Passkey
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User


def second_step_methods(services: Services, tx: Transaction, user: User) -> tuple[str, ...]:
    """Return the methods with which *user* may finish a sign-in, as in ``twoFactorMethods``."""
    methods = []
    if user.has_passkey and services.policies.passkeys.rp_id is not None:
        methods.append("passkey")
    if user.has_totp:
        methods.append("totp")
    if user.has_factor and tx.two_factor.count_codes(user.id):
        methods.append("backup-code")
    return tuple(methods)


def demands_two_factor(services: Services, tx: Transaction, user: User) -> bool:
    """Whether anything requires two factors of *user*, so that registering a passkey turns them on."""
    if services.actors.demand_two_factor(user.actor_types):
        return True
    return tx.factor_rules.find_earliest(user.id) is not None


def enable_where_demanded(services: Services, tx: Transaction, user: User) -> User:
    """
    Make passkeys count as second step if something requires two factors. Call it with the user locked.

    A passkey that was registered only for sign-in turns two factors on when they become required later.

    Returns:
        The updated user.
    """
    if user.has_factor or not user.has_passkey or not demands_two_factor(services, tx, user):
        return user
    tx.users.set_passkeys_enabled(user.id, tx.now, now=tx.now)
    return tx.users.find(user.id) or user


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedFactors:
    """What was removed."""

    totp: bool
    passkeys: Sequence[Passkey] = ()

    def __bool__(self) -> bool:
        return self.totp or bool(self.passkeys)

    @property
    def methods(self) -> list[str]:
        """The kinds of factors, for events."""
        return [*(["totp"] if self.totp else []), *(["passkey"] if self.passkeys else [])]


def remove_all_factors(tx: Transaction, user_id: str, *, reason: str) -> RemovedFactors:
    """
    Remove a user's authenticator app, passkeys, backup codes and everything that depends on them. Call it with the user
    locked.

    The caller ends sessions and records why.

    Args:
        reason: Why each passkey is removed, for its event.
    """
    removed = RemovedFactors(
        totp=tx.two_factor.drop_factor(user_id), passkeys=tx.passkeys.delete_all(user_id)
    )
    for passkey in removed.passkeys:
        record_removed(tx, passkey, reason=reason)
    disable_two_factor(tx, user_id)
    return removed


def disable_two_factor(tx: Transaction, user_id: str) -> None:
    """Remove what is left after the last factor: backup codes, pending enrollment, trusted devices, locks."""
    tx.two_factor.drop_codes(user_id)
    tx.two_factor.drop_enrollment(user_id)
    tx.challenges.drop_trusted_devices(user_id)
    # In this order, because counting an attempt locks the challenge first.
    tx.challenges.drop_challenges(user_id)
    tx.challenges.clear_attempts(user_id)
    tx.users.set_passkeys_enabled(user_id, None, now=tx.now)
    tx.users.set_factors_kept(user_id, None, now=tx.now)
    tx.users.bump_credential_version(user_id, now=tx.now)


def remove_totp(tx: Transaction, user: User) -> None:
    """Remove the authenticator app of a user who keeps a passkey; two factors and backup codes stay."""
    tx.two_factor.drop_factor(user.id)
    tx.two_factor.drop_enrollment(user.id)
    tx.challenges.drop_trusted_devices(user.id)
    if user.passkeys_enabled_at is None:
        tx.users.set_passkeys_enabled(user.id, tx.now, now=tx.now)
    tx.users.bump_credential_version(user.id, now=tx.now)


def record_removed(tx: Transaction, passkey: Passkey, *, reason: str) -> None:
    """Record that a passkey was removed."""
    details = {"passkeyId": passkey.id, "deviceType": passkey.device_type, "reason": reason}
    removed = AuditEvent(action=types.PASSKEY_REMOVED, user_id=passkey.user_id, details=details)
    tx.record(removed)
