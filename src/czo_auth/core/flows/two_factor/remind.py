"""Reminds users that they will soon be limited to enrolling a second factor, or enrolling theirs again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from czo_auth.core.actors import ActorType
from czo_auth.core.context import system_context
from czo_auth.core.flows.required_factor import find_due_at_by_type
from czo_auth.core.flows.services import Services
from czo_auth.core.mail_drafts import compose_two_factor_due_by_type, compose_two_factor_renewal
from czo_auth.core.organizations.two_factor import REMINDED_DAYS, days_ahead
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.factor import TotpFactor
from czo_auth.core.users.user import User

_AT_ONCE: Final = 200
_LONGEST: Final = timedelta(days=max(REMINDED_DAYS))


class RemindHolders:
    """Mails holders of dated actor types 14, 7 and 1 days ahead, each once, even if several processes run this."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def remind(self, *, now: datetime) -> None:
        """Remind everyone who lacks the factor that their first dated actor type requires."""
        for actor_type in self._services.actors.dated:
            await self._remind_holders(actor_type, now=now)

    async def _remind_holders(self, actor_type: ActorType, *, now: datetime) -> None:
        after = None
        while holders := await self._services.transactions.read(
            lambda tx, after=after: tx.actor_type_deadlines.list_due(  # type: ignore[misc]
                actor_type, now=now, until=now + _LONGEST, limit=_AT_ONCE, after=after
            )
        ):
            for holder in holders:
                await self._remind(holder, now=now)
            after = holders[-1].id

    async def _remind(self, user: User, *, now: datetime) -> None:
        due_at = find_due_at_by_type(self._services, user)
        # The strictest rule counts: users who are already refused know it from that.
        if due_at is None or due_at <= now or self._services.must_enroll(user, now=now):
            return
        days = days_ahead(due_at, now=now)
        is_first = await self._services.transactions.run(
            lambda tx: tx.actor_type_deadlines.mark_reminded(user.id, due_at=due_at, days=days),
            system_context(now),
        )
        if is_first:
            self._services.background.post(compose_two_factor_due_by_type(user, due_at=due_at))


class RemindRenewals:
    """
    Mails owners of secrets that are too short 14, 7 and 1 days before their term ends, each once, even if several
    processes run this.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def remind(self, *, now: datetime) -> None:
        """Remind everyone whose term ends within the longest of these times."""
        after = None
        while factors := await self._services.transactions.read(
            lambda tx, after=after: tx.two_factor.list_renewals(  # type: ignore[misc]
                now=now, until=now + _LONGEST, limit=_AT_ONCE, after=after
            )
        ):
            for factor in factors:
                await self._remind(factor, now=now)
            after = factors[-1].id

    async def _remind(self, factor: TotpFactor, *, now: datetime) -> None:
        due_at = factor.renew_by
        if due_at is None:
            return
        days = days_ahead(due_at, now=now)

        def mark_reminded(tx: Transaction) -> User | None:
            is_first = tx.two_factor.mark_renewal_reminded(factor.id, days=days)
            user = tx.users.find(factor.user_id) if is_first else None
            return None if user is None or user.banned_at is not None else user

        user = await self._services.transactions.run(mark_reminded, system_context(now))
        if user is not None:
            self._services.background.post(compose_two_factor_renewal(user, due_at=due_at))
