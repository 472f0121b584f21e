"""How often a key was used and refused, by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.usage import DayUsage
from czo_auth.core.context import Context
from czo_auth.core.errors import NotFound, ValidationFailed
from czo_auth.core.flows.services import Services
from czo_auth.core.limits import USAGE_DAYS
from czo_auth.core.transaction import Transaction


class ReadKeyUsage:
    """Reads the daily counts of keys, which are a few seconds behind."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def of_own(
        self, key_id: str, *, first: date | None = None, last: date | None = None, context: Context
    ) -> Sequence[DayUsage]:
        """
        Read the daily counts of one of the caller's keys, oldest first; days without uses are omitted.

        Args:
            first: By default as early as is kept.
            last: By default today.

        Raises:
            NotFound: Not one of the caller's keys.
            ValidationFailed: *first* lies behind *last*.
        """
        return await self._read(
            key_id, first=first, last=last, user_id=context.caller.require_user(), now=context.now
        )

    async def of_any(
        self, key_id: str, *, first: date | None = None, last: date | None = None, now: datetime
    ) -> Sequence[DayUsage]:
        """
        Read the same of any key. The caller has already been authorized.

        Raises:
            NotFound: No such id, or it was revoked.
            ValidationFailed: *first* lies behind *last*.
        """
        return await self._read(key_id, first=first, last=last, user_id=None, now=now)

    async def _read(
        self, key_id: str, *, first: date | None, last: date | None, user_id: str | None, now: datetime
    ) -> Sequence[DayUsage]:
        def read_days(tx: Transaction) -> Sequence[DayUsage]:
            key = tx.api_keys.find(key_id)
            if key is None or user_id not in (None, key.user_id):
                raise NotFound
            return list_days(tx, key, first=first, last=last, now=now)

        return await self._services.transactions.read(read_days)


def list_days(
    tx: Transaction, key: ApiKey, *, first: date | None, last: date | None, now: datetime
) -> Sequence[DayUsage]:
    """
    Read the daily counts of a key, oldest first; days without uses are omitted. The caller has already been authorized.

    Args:
        first: By default as early as is kept.
        last: By default today.

    Raises:
        ValidationFailed: *first* lies behind *last*.
    """
    today = now.astimezone(UTC).date()
    until = today if last is None else last
    since = today - timedelta(days=USAGE_DAYS - 1) if first is None else first
    if first is not None and since > until:
        raise ValidationFailed(details=(("from", "This lies behind the last day."),))
    return tx.key_uses.list_days(key.id, first=since, last=until)


def every_day(usage: Sequence[DayUsage], *, last: date, days: int) -> list[DayUsage]:
    """Return *days* days up to *last*, including days without uses."""
    known = {each.day: each for each in usage}
    wanted = [last - timedelta(days=number) for number in reversed(range(days))]
    return [known.get(day, DayUsage(day=day, used=0, refused=0)) for day in wanted]
