"""Expiry of API keys: owners are notified in advance, and unused keys expire."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.lifetime import UNUSED_MARGIN, days_left, notice_within, warning_before_disuse
from czo_auth.core.context import system_context
from czo_auth.core.events import types
from czo_auth.core.events.types import API_KEY_CHANGED
from czo_auth.core.flows.api_keys.new_key import key_event
from czo_auth.core.flows.api_keys.owners import recipients_of
from czo_auth.core.flows.services import Services
from czo_auth.core.mail import MailDraft
from czo_auth.core.mail_drafts import (
    EndingKey,
    compose_keys_expiring,
    compose_keys_unused,
)
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User

NOTICED_TOGETHER: Final = timedelta(days=1)
"""Keys of one owner whose notices are no farther apart share one mail."""

_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notice:
    """The recipient and keys of a notice; an owner who is gone gets none."""

    to: Sequence[User]
    keys: Sequence[EndingKey]


class KeyExpiry:
    """
    Does what is due; safe to run in several processes at once.

    Each notice is recorded in the transaction of its event, by a statement that only one process wins, so it is sent
    once. Mail follows the commit: if a process dies in between, the mail is lost, but never the event.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def remind(self, *, now: datetime) -> None:
        """Notify owners of keys that expire within 30, 7 and 1 days; see ``lifetime.NOTICE_DAYS``."""
        while owners := await self._services.transactions.read(
            lambda tx: tx.key_expiry.list_owners_due(now=now, limit=_AT_ONCE)
        ):
            for owner in owners:
                await self._remind(owner, now=now)

    async def _remind(self, owner_id: str, *, now: datetime) -> None:
        def record_notices(tx: Transaction) -> _Notice:
            noticed = []
            notified: Sequence[User] = ()
            due = tx.key_expiry.list_due(owner_id, now=now, until=now + NOTICED_TOGETHER)
            # In the order of their ids, as whenever several keys are changed.
            for key in sorted(due, key=lambda each: each.id):
                days = notice_within(key.expires_at, now=now + NOTICED_TOGETHER)
                if key.expires_at is None or days is None:
                    continue
                # A notice that is due only tomorrow is sent as that notice, never as a nearer one.
                if tx.key_expiry.mark_noticed(key, days=days):
                    noticed.append(_record_ending(tx, key, end=key.expires_at, reason="expiry"))
                    notified = notified or recipients_of(tx, key)
            return _Notice(to=notified, keys=sorted(noticed, key=lambda each: each.ends_at))

        self._post(
            await self._services.transactions.run(record_notices, system_context(now)),
            compose=compose_keys_expiring,
        )

    async def cap(self, *, now: datetime) -> None:
        """Apply a new deployment-wide maximum lifetime to existing keys, counted from now."""
        days = self._services.policies.api_keys.longest_days
        if days is not None:
            await self._services.transactions.run(
                lambda tx: shorten_lifetimes(tx, None, days=days), system_context(now)
            )

    async def warn_unused(self, *, now: datetime) -> None:
        """Warn owners of keys that will expire because they are unused: a week ahead, or half of a short period."""
        for organization_id, days in await self._unused_rules():
            before = now - (timedelta(days=days) - warning_before_disuse(days))
            while found := await self._services.transactions.read(
                lambda tx: tx.key_expiry.list_unused(organization_id, before=before, now=now, limit=_AT_ONCE)  # noqa: B023
            ):
                for _, keys in groupby(found, key=lambda key: key.owner_id):
                    await self._warn(list(keys), days=days, now=now)

    async def _warn(self, keys: Sequence[ApiKey], *, days: int, now: datetime) -> None:
        def record_notices(tx: Transaction) -> _Notice:
            end = now + warning_before_disuse(days)
            noticed = [
                _record_ending(tx, key, end=end, reason="unused")
                for key in keys
                if tx.key_expiry.mark_unused_noticed(key, now=now)
            ]
            return _Notice(to=recipients_of(tx, keys[0]), keys=noticed)

        self._post(
            await self._services.transactions.run(record_notices, system_context(now)),
            compose=compose_keys_unused,
        )

    async def expire_unused(self, *, now: datetime) -> None:
        """
        Expire keys that were unused for as long as the deployment or their organization allows.

        Only after a warning that was sent long enough ago, plus `lifetime.UNUSED_MARGIN`, because a last-minute use may
        still be in the memory of a process (S19).
        """
        for organization_id, days in await self._unused_rules():
            before = now - timedelta(days=days) - UNUSED_MARGIN
            warned = now - warning_before_disuse(days)

            def end(
                tx: Transaction,
                organization_id: str | None = organization_id,
                before: datetime = before,
                warned: datetime = warned,
            ) -> int:
                ended = tx.key_expiry.expire_unused(
                    organization_id, before=before, noticed_before=warned, now=now
                )
                for key in ended:
                    audit_event = key_event(types.API_KEY_EXPIRED, key, reason="unused")
                    tx.record(audit_event)
                return len(ended)

            while await self._services.transactions.run(end, system_context(now)):
                continue

    async def _unused_rules(self) -> Sequence[tuple[str | None, int]]:
        """Return after how many days unused keys expire, by organization; None is the whole deployment."""
        own = self._services.policies.api_keys.unused_days
        rules: list[tuple[str | None, int]] = [] if own is None else [(None, own)]
        rules += await self._services.transactions.read(lambda tx: tx.organizations.list_unused_rules())
        return rules

    def _post(self, noticed: _Notice, *, compose: Callable[[User, Sequence[EndingKey]], MailDraft]) -> None:
        if noticed.keys:
            for reader in noticed.to:
                self._services.background.post(compose(reader, noticed.keys))


def shorten_lifetimes(tx: Transaction, organization_id: str | None, *, days: int | None) -> None:
    """
    Limit live keys to *days* from now, and record each that is shortened; None changes nothing.

    Args:
        organization_id: Keys of this organization only; None for all.
    """
    if days is None:
        return
    end = tx.now + timedelta(days=days)
    while shortened := tx.key_expiry.cap_ends(organization_id, end=end, now=tx.now):
        for key in shortened:
            audit_event = key_event(API_KEY_CHANGED, key, changed=["expires_at"], reason="longest_life")
            tx.record(audit_event)


def _record_ending(tx: Transaction, key: ApiKey, *, end: datetime, reason: str) -> EndingKey:
    audit_event = key_event(types.API_KEY_EXPIRING, key, reason=reason, daysLeft=days_left(end, now=tx.now))
    tx.record(audit_event)
    return EndingKey(name=key.name, prefix=key.prefix, ends_at=end)
