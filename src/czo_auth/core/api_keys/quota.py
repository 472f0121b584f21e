"""Quotas of keys: a number of uses per calendar day or month, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal

from czo_auth.core.errors import ValidationFailed
from czo_auth.core.limits import MAX_QUOTA

QuotaPeriod = Literal["day", "month"]
QUOTA_PERIODS: Final[tuple[QuotaPeriod, ...]] = ("day", "month")

_BLOCK_PERCENT: Final = 5
_KEPT: Final = timedelta(days=40)
"""How long the count of a period is kept after its end, in case a clock is set back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """
    How often a key may be used in a period.

    Attributes:
        maximum: Uses in each period; at least 1.
        counter_id: The id under which its uses are counted; a key and its successors share it.
    """

    maximum: int
    period: QuotaPeriod
    counter_id: str

    @property
    def block(self) -> int:
        """Uses that a process reserves at once: a twentieth of the quota, at least one."""
        return max(1, self.maximum * _BLOCK_PERCENT // 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """
    One day or month.

    Attributes:
        name: ``2026-07-01`` or ``2026-07``; uses are counted under it.
        begins, ends: Midnight (UTC) at its start, and at the start of the next one.
    """

    name: str
    begins: datetime
    ends: datetime

    @property
    def expires_at(self) -> datetime:
        """The count may be deleted after this time."""
        return self.ends + _KEPT

    @property
    def seconds(self) -> int:
        """Its length."""
        return int((self.ends - self.begins).total_seconds())

    def seconds_left(self, now: datetime) -> int:
        """Return the whole seconds until it ends, rounded up; at least 1."""
        return max(1, -int((now - self.ends) // timedelta(seconds=1)))


def period_at(period: QuotaPeriod, now: datetime) -> Period:
    """Return the day or the month of *now*."""
    day = now.astimezone(UTC).date()
    if period == "day":
        return Period(name=day.isoformat(), begins=_midnight(day), ends=_midnight(day + timedelta(days=1)))
    first = day.replace(day=1)
    return Period(
        name=first.isoformat()[:7],
        begins=_midnight(first),
        ends=_midnight((first + timedelta(days=31)).replace(day=1)),
    )


def days_of(month: Period) -> tuple[str, ...]:
    """Return the names of the days of a month."""
    days = (month.ends - month.begins).days
    return tuple((month.begins.date() + timedelta(days=number)).isoformat() for number in range(days))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def quota_of(maximum: int | None, period: QuotaPeriod | None, counter_id: str | None) -> Quota | None:
    """Combine the columns of a quota."""
    if maximum is None or period is None or counter_id is None:
        return None
    return Quota(maximum=maximum, period=period, counter_id=counter_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaUpdate:
    """
    The quota fields of a request.

    Attributes:
        given: Which of ``quota_max`` and ``quota_period`` were sent at all.
    """

    given: frozenset[str] = frozenset()
    maximum: int | None = None
    period: QuotaPeriod | None = None

    @classmethod
    def of(cls, maximum: int, period: QuotaPeriod) -> QuotaUpdate:
        """Ask for a quota."""
        return cls(given=frozenset({"quota_max", "quota_period"}), maximum=maximum, period=period)

    @classmethod
    def removal(cls) -> QuotaUpdate:
        """Ask for no quota."""
        return cls(given=frozenset({"quota_max", "quota_period"}))

    def on(self, present: Quota | None, *, key_id: str) -> Quota | None:
        """
        Return the quota requested for the key *key_id*, whose current quota is *present*.

        Raises:
            ValidationFailed: One was sent without the other, or the number is out of bounds.
        """
        if not self.given:
            return present
        if len(self.given) != 2 or (self.maximum is None) != (self.period is None):
            raise _refused("Send quotaMax and quotaPeriod together.")
        if self.maximum is None or self.period is None:
            return None
        if not 1 <= self.maximum <= MAX_QUOTA:
            raise _refused(f"A quota is from 1 to {MAX_QUOTA} uses.")
        counter_id = key_id if present is None else present.counter_id
        return Quota(maximum=self.maximum, period=self.period, counter_id=counter_id)


def is_looser(new: Quota | None, old: Quota | None) -> bool:
    """Whether *new* may allow a use that *old* would have refused."""
    if old is None:
        return False
    if new is None or (old.period == "month" and new.period == "day"):
        return True
    return new.maximum > old.maximum


def _refused(why: str) -> ValidationFailed:
    return ValidationFailed(details=(("quotaMax", why),))
