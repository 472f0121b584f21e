"""Managing a second factor: its state, new backup codes, turning it off (S7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from czo_auth.core.context import Context
from czo_auth.core.errors import (
    InvalidToken,
    TotpNotEnabled,
    TwoFactorNotEnabled,
    TwoFactorRequiredByPolicy,
)
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.flows.factors import (
    demands_two_factor,
    remove_all_factors,
    remove_totp,
    second_step_methods,
)
from czo_auth.core.flows.owner_mails import mail_notice
from czo_auth.core.flows.required_factor import (
    earliest,
    find_due_at,
    find_due_at_by_type,
    requires_factor_now,
)
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import end_sessions
from czo_auth.core.flows.two_factor.cancel_reset import cancel_reset
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication, VerifiedProof
from czo_auth.core.ids import new_id
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User
from czo_auth.crypto import codes


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoFactorStatus:
    """
    What a user may know of their factors; no secret.

    Attributes:
        enabled: Whether two factors are on.
        methods: What the user has: ``passkey``, ``totp``, ``backup-code``.
        passkeys: How many passkeys.
        passkeys_available: Whether the deployment offers them.
        due_at: The earliest date from which an organization or actor type requires a factor that the user lacks; None
            if none does.
        renew_by: Until when the user should enroll the authenticator app again, as its secret is too short.
    """

    enabled: bool
    pending: bool
    required_by_policy: bool
    backup_codes_remaining: int
    enabled_at: datetime | None
    methods: tuple[str, ...]
    has_totp: bool
    passkeys: int
    passkeys_available: bool
    due_at: datetime | None = None
    renew_by: datetime | None = None


class ManageTwoFactor:
    """Reads the state, replaces the backup codes, turns the factor off."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._proof = Reauthentication(services)

    async def status(self, *, context: Context) -> TwoFactorStatus:
        """Read the state of the user's second factor."""
        principal = context.caller

        def read_status(tx: Transaction) -> TwoFactorStatus:
            user = tx.users.find(principal.require_user())
            if user is None:
                raise InvalidToken
            factor = tx.two_factor.find_factor(user.id)
            pending = tx.two_factor.find_enrollment(user.id, lineage_id=principal.lineage_id, now=context.now)
            since = factor.enabled_at if factor else user.passkeys_enabled_at
            return TwoFactorStatus(
                enabled=user.has_factor,
                pending=pending is not None,
                required_by_policy=demands_two_factor(self._services, tx, user),
                backup_codes_remaining=tx.two_factor.count_codes(user.id) if user.has_factor else 0,
                enabled_at=since if user.has_factor else None,
                methods=second_step_methods(self._services, tx, user),
                has_totp=user.has_totp,
                passkeys=tx.passkeys.count(user.id),
                passkeys_available=self._services.policies.passkeys.rp_id is not None,
                due_at=find_due_at(self._services, tx, user),
                renew_by=factor.renew_by if factor else None,
            )

        return await self._services.transactions.read(read_status, context)

    async def find_due_at(self, user: User) -> datetime | None:
        """Return the earliest date from which an organization or actor type requires a factor that *user* lacks."""
        by_type = find_due_at_by_type(self._services, user)
        if user.owns_factor:
            return by_type
        by_organization = await self._services.transactions.read(
            lambda tx: tx.factor_rules.find_earliest(user.id)
        )
        return earliest(by_type, by_organization)

    async def regenerate_codes(
        self, *, password: str | None, code: str | None, context: Context
    ) -> tuple[str, ...]:
        """
        Replace the backup codes; the old set stops working.

        Raises:
            TwoFactorNotEnabled: There is no active factor.
            InvalidPassword, ReauthenticationRequired, InvalidCode, AccountLocked: See ``Reauthentication``.
        """
        proof = await self._prove(password, code, context=context)
        user = proof.user
        taken = await self._services.transactions.read(lambda tx: tx.two_factor.selectors(user.id))
        fresh_codes = codes.new_codes(self._services.policies.two_factor.backup_codes, taken=taken)
        hashed = await self._services.hashing.hash_codes(fresh_codes)

        def replace(tx: Transaction) -> None:
            proof.consume(tx)
            tx.two_factor.put_codes(user.id, set_id=new_id(tx.now), codes=hashed, now=tx.now)
            tx.record(
                AuditEvent(
                    action=types.BACKUP_CODES_REGENERATED, user_id=user.id, details={"count": len(hashed)}
                )
            )

        await self._services.transactions.run(replace, context)
        mail_notice(self._services, user, "backup_codes_renewed", context=context)
        return tuple(code.text for code in fresh_codes)

    async def disable(
        self, *, password: str | None, code: str | None, everything: bool = False, context: Context
    ) -> None:
        """
        Remove the authenticator app, or all factors. The other sessions end.

        With a passkey left, two factors stay on and so do the backup codes. Otherwise two factors are off, and the
        session continues with ``aal`` 1.

        Args:
            everything: Whether passkeys and backup codes are removed too.

        Raises:
            TwoFactorNotEnabled: There is no factor.
            TotpNotEnabled: There is no authenticator app, and *everything* is False.
            TwoFactorRequiredByPolicy: The last required factor would be removed; no code is spent.
            InvalidPassword, ReauthenticationRequired, InvalidCode, AccountLocked: See ``Reauthentication``.
        """
        principal = context.caller
        user = await self._services.transactions.read(
            lambda tx: self._check_policy(tx, tx.users.find(principal.require_user()), everything=everything),
            context,
        )
        if not user.has_totp and not everything:
            raise TotpNotEnabled if user.has_passkey else TwoFactorNotEnabled
        if not user.owns_factor:
            raise TwoFactorNotEnabled
        proof = await self._proof.require(
            password=password, code=code, asks_password=True, user=user, context=context
        )

        def turn_off(tx: Transaction) -> User:
            fresh = self._check_policy(tx, proof.consume(tx), everything=everything)
            keeps_passkey = fresh.has_passkey and not everything
            if keeps_passkey:
                remove_totp(tx, fresh)
                methods = ["totp"]
            else:
                removed = remove_all_factors(tx, fresh.id, reason="two_factor_disabled")
                methods = removed.methods
            cancel_reset(tx, fresh.id, outcome="factor_disabled")
            if not (keeps_passkey and principal.phishing_resistant):
                tx.sessions.lower_assurance(proof.session_id)
            end_sessions(tx, fresh.id, reason="two_factor_disabled", keep=proof.session_id)
            details = {"actorType": principal.actor_type, "methods": methods, "stillOn": keeps_passkey}
            tx.record(AuditEvent(action=types.TWO_FACTOR_DISABLED, user_id=fresh.id, details=details))
            return fresh

        disabled = await self._services.transactions.run(turn_off, context)
        mail_notice(self._services, disabled, "two_factor_disabled", context=context)

    def _check_policy(self, tx: Transaction, user: User | None, *, everything: bool) -> User:
        """Refuse if the remaining factors would not satisfy an actor type or organization."""
        if user is None:
            raise InvalidToken
        keeps_passkey = user.has_passkey and not everything
        if self._services.actors.must_enroll(
            user.actor_types,
            user.grants,
            owns_factor=keeps_passkey,
            has_passkey=keeps_passkey,
            now=tx.now,
        ) or (user.owns_factor and not keeps_passkey and requires_factor_now(tx, user)):
            raise TwoFactorRequiredByPolicy
        return user

    async def _find_user(self, principal: Principal) -> User:
        user = await self._services.transactions.read(lambda tx: tx.users.find(principal.require_user()))
        if user is None:
            raise InvalidToken
        return user

    async def _prove(self, password: str | None, code: str | None, *, context: Context) -> VerifiedProof:
        principal = context.caller
        user = await self._find_user(principal)
        if not user.has_factor:
            raise TwoFactorNotEnabled
        return await self._proof.require(
            password=password, code=code, asks_password=True, user=user, context=context
        )
