"""Recent proof: what a change to the second factor asks of the person at the keyboard (S7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from czo_auth.core.errors import InvalidPassword, ReauthenticationRequired
from czo_auth.core.flows.prove_code import ProveCode, spend
from czo_auth.core.flows.services import Services
from czo_auth.core.principal import Principal
from czo_auth.core.provenance import Provenance
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User

SpendProof = Callable[[Transaction], None]
"""Spends the code that was proved; belongs in the transaction of the change. Does nothing for a recent proof."""


class RecentProof:
    """Asks for password and second factor, the cheap and harmless question first."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._prove = ProveCode(services)

    async def password(self, user: User, password: str, *, provenance: Provenance) -> None:
        """
        Refuse unless *password* is the user's.

        Raises:
            RateLimited: Too many tries.
            InvalidPassword: It is not.
        """
        await self._services.limits.hit("password", ip=provenance.ip, account=user.id)
        match = await self._services.hashing.verify_password(user.password_hash, password)
        if not match.matches:
            raise InvalidPassword

    def recent_sign_in(self, principal: Principal, *, now: datetime) -> None:
        """
        Refuse unless the password was proved a short while ago.

        Raises:
            ReauthenticationRequired: It was not.
        """
        if not self._is_recent(principal.auth_time, now=now):
            raise ReauthenticationRequired

    async def second_factor(
        self,
        principal: Principal,
        user: User,
        *,
        password: str,
        code: str | None,
        provenance: Provenance,
        now: datetime,
    ) -> SpendProof:
        """
        Refuse unless password and a second factor are proved: in the last minutes, or by *code*.

        The password comes first, so a wrong one spends no code.

        Raises:
            InvalidPassword: The password is wrong.
            ReauthenticationRequired: The proof is too old and no code was sent.
            InvalidCode, AccountLocked, SecretUnreadable: The code does not help.
        """
        await self.password(user, password, provenance=provenance)
        if code is None:
            if not self._is_recent(principal.factor_proved_at, now=now):
                raise ReauthenticationRequired
            return _nothing
        proved = await self._prove.for_user(user.id, code, "either", provenance=provenance, now=now)
        return lambda tx: spend(tx, proved, provenance=provenance.by(user.id, proved.method), now=now)

    def _is_recent(self, proved_at: datetime | None, *, now: datetime) -> bool:
        lifetime = self._services.policies.two_factor.proof_lifetime
        return proved_at is not None and now - proved_at <= lifetime


def _nothing(_: Transaction) -> None:
    return None
