"""Looking after a second factor: its state, new backup codes, turning it off (S7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from czo_auth.core.context import Context
from czo_auth.core.errors import (
    InvalidToken,
    TwoFactorNotEnabled,
    TwoFactorRequiredByPolicy,
)
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import end_sessions
from czo_auth.core.flows.two_factor.cancel_reset import cancel_reset
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication, VerifiedProof
from czo_auth.core.ids import new_id
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.crypto import codes


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoFactorStatus:
    """What a user may know of their second factor; no secret."""

    enabled: bool
    pending: bool
    required_by_policy: bool
    backup_codes_remaining: int
    enabled_at: datetime | None
    methods: tuple[str, ...]


class ManageTwoFactor:
    """Reads the state, replaces the backup codes, turns the factor off."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._proof = Reauthentication(services)

    async def status(self, principal: Principal, *, now: datetime) -> TwoFactorStatus:
        """Read the state of the user's second factor."""

        def read_status(tx: Transaction) -> TwoFactorStatus:
            factor = tx.two_factor.find_factor(principal.user_id)
            pending = tx.two_factor.find_enrollment(
                principal.user_id, lineage_id=principal.lineage_id, now=now
            )
            return TwoFactorStatus(
                enabled=factor is not None,
                pending=pending is not None,
                required_by_policy=self._services.actors.demand_two_factor(principal.actor_types),
                backup_codes_remaining=tx.two_factor.count_codes(principal.user_id) if factor else 0,
                enabled_at=factor.enabled_at if factor else None,
                methods=("totp", "backup-code") if factor else (),
            )

        return await self._services.transactions.read(read_status)

    async def regenerate_codes(
        self,
        principal: Principal,
        *,
        password: str | None,
        code: str | None,
        context: Context,
        now: datetime,
    ) -> tuple[str, ...]:
        """
        Replace the backup codes; the old set dies with this answer.

        Raises:
            TwoFactorNotEnabled: There is no active factor.
            InvalidPassword, ReauthenticationRequired, InvalidCode, AccountLocked: See ``Reauthentication``.
        """
        proof = await self._prove(principal, password, code, context=context, now=now)
        user = proof.user
        taken = await self._services.transactions.read(lambda tx: tx.two_factor.selectors(user.id))
        fresh_codes = codes.new_codes(self._services.policies.two_factor.backup_codes, taken=taken)
        hashed = await self._services.hashing.hash_codes(fresh_codes)

        def replace(tx: Transaction) -> None:
            proof.consume(tx)
            tx.two_factor.put_codes(user.id, set_id=new_id(now), codes=hashed, now=now)
            tx.audit_log.record(
                AuditEvent(
                    action=types.BACKUP_CODES_REGENERATED, user_id=user.id, details={"count": len(hashed)}
                ),
                context=context,
                now=now,
            )

        await self._services.transactions.run(replace)
        return tuple(code.text for code in fresh_codes)

    async def disable(
        self,
        principal: Principal,
        *,
        password: str | None,
        code: str | None,
        context: Context,
        now: datetime,
    ) -> None:
        """
        Turn the second factor off. The session goes on with ``aal`` 1, all others end.

        Raises:
            TwoFactorNotEnabled: There is no active factor.
            TwoFactorRequiredByPolicy: An actor type that the user holds demands it; no code is spent.
            InvalidPassword, ReauthenticationRequired, InvalidCode, AccountLocked: See ``Reauthentication``.
        """
        if self._services.actors.demand_two_factor(principal.actor_types):
            raise TwoFactorRequiredByPolicy
        proof = await self._prove(principal, password, code, context=context, now=now)

        user = proof.user

        def turn_off(tx: Transaction) -> None:
            fresh = proof.consume(tx)
            if self._services.actors.demand_two_factor(fresh.actor_types):
                raise TwoFactorRequiredByPolicy
            remove_factor(tx, user.id, now=now)
            cancel_reset(tx, user.id, outcome="factor_disabled", context=context, now=now)
            tx.sessions.lower_assurance(proof.session_id)
            end_sessions(
                tx,
                user.id,
                reason="two_factor_disabled",
                context=context,
                now=now,
                keep=proof.session_id,
            )
            tx.audit_log.record(
                AuditEvent(
                    action=types.TWO_FACTOR_DISABLED,
                    user_id=user.id,
                    details={"actorType": principal.actor_type},
                ),
                context=context,
                now=now,
            )

        await self._services.transactions.run(turn_off)

    async def _prove(
        self,
        principal: Principal,
        password: str | None,
        code: str | None,
        *,
        context: Context,
        now: datetime,
    ) -> VerifiedProof:
        user = await self._services.transactions.read(lambda tx: tx.users.find(principal.user_id))
        if user is None:
            raise InvalidToken
        if not user.has_factor:
            raise TwoFactorNotEnabled
        return await self._proof.require(
            principal, password=password, code=code, asks_password=True, context=context, now=now
        )


def remove_factor(tx: Transaction, user_id: str, *, now: datetime) -> bool:
    """Remove a user's factor with everything that hangs on it; False when there was none."""
    removed = tx.two_factor.drop_factor(user_id)
    tx.two_factor.drop_enrollment(user_id)
    tx.two_factor.drop_trusted_devices(user_id)
    tx.two_factor.clear_attempts(user_id)
    tx.users.bump_credential_version(user_id, now=now)
    return removed
