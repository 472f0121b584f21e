"""Quotas: their periods, what is taken ahead, and which one lets more pass."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from czo_auth.core.api_keys.quota import (
    QUOTA_PERIODS,
    Quota,
    QuotaPeriod,
    QuotaUpdate,
    days_of,
    is_looser,
    period_at,
)
from czo_auth.core.errors import ValidationFailed
from czo_auth.core.limits import MAX_QUOTA

DAY = timedelta(days=1)
KEY = "01900000-0000-7000-8000-00000000000a"
OTHER = "01900000-0000-7000-8000-00000000000b"


def a_quota(maximum: int, period: QuotaPeriod = "day") -> Quota:
    return Quota(maximum=maximum, period=period, counter_id=KEY)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "name", "seconds", "left"),
    [
        ("2026-07-01T00:00:00", "2026-07", 31 * 86_400, 31 * 86_400),
        ("2026-02-28T23:59:59.001", "2026-02", 28 * 86_400, 1),
        ("2024-02-29T12:00:00", "2024-02", 29 * 86_400, 43_200),
        ("2026-12-31T23:59:59.999", "2026-12", 31 * 86_400, 1),
    ],
)
def test_month_goes_from_first_to_first(now: str, name: str, seconds: int, left: int) -> None:
    period = period_at("month", at(now))
    assert (period.name, period.seconds, period.seconds_left(at(now))) == (name, seconds, left)
    assert period.begins <= at(now) < period.ends
    assert period_at("month", period.ends).begins == period.ends
    days = days_of(period)
    assert (len(days), days[0][:7], days[-1][:7]) == (seconds // 86_400, name, name)


def test_periods_that_may_be_chosen_are_the_two_that_there_are() -> None:
    assert QUOTA_PERIODS == ("day", "month")
    assert [period_at(each, at("2026-07-05T12:00:00")).name for each in QUOTA_PERIODS] == [
        "2026-07-05",
        "2026-07",
    ]


def test_day_is_that_of_utc_wherever_the_time_comes_from() -> None:
    east = datetime(2026, 7, 2, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    period = period_at("day", east)
    assert (period.name, period.seconds, period.seconds_left(east)) == ("2026-07-01", 86_400, 1800)
    assert period.ends == at("2026-07-02")
    assert period.expires_at == period.ends + 40 * DAY


@pytest.mark.parametrize(
    ("maximum", "block"), [(1, 1), (19, 1), (20, 1), (39, 1), (40, 2), (100, 5), (1_000_000_000, 50_000_000)]
)
def test_a_twentieth_is_taken_ahead_and_at_least_one(maximum: int, block: int) -> None:
    assert a_quota(maximum).block == block


@pytest.mark.parametrize(
    ("new", "old", "more"),
    [
        (a_quota(5), None, False),
        (None, None, False),
        (None, a_quota(5), True),
        (a_quota(5), a_quota(5), False),
        (a_quota(4), a_quota(5), False),
        (a_quota(6), a_quota(5), True),
        (a_quota(5, "month"), a_quota(5), False),
        (a_quota(6, "month"), a_quota(5), True),
        (a_quota(1), a_quota(5, "month"), True),
    ],
)
def test_month_to_day_and_removal_let_more_pass(new: Quota | None, old: Quota | None, more: bool) -> None:
    assert is_looser(new, old) is more


def test_changed_quota_keeps_its_counter() -> None:
    update = QuotaUpdate.of(3, "month")
    assert update.on(None, key_id=OTHER) == Quota(maximum=3, period="month", counter_id=OTHER)
    assert update.on(a_quota(9), key_id=OTHER) == a_quota(3, "month")
    assert QuotaUpdate().on(a_quota(9), key_id=OTHER) == a_quota(9)
    assert QuotaUpdate.removal().on(a_quota(9), key_id=OTHER) is None
    with pytest.raises(ValidationFailed):
        QuotaUpdate(given=frozenset({"quota_max"}), maximum=3).on(None, key_id=KEY)


@pytest.mark.parametrize("maximum", [1, MAX_QUOTA])
def test_quota_at_a_bound_is_accepted(maximum: int) -> None:
    assert QuotaUpdate.of(maximum, "day").on(None, key_id=KEY) == a_quota(maximum)


@pytest.mark.parametrize("maximum", [-1, 0, MAX_QUOTA + 1])
def test_quota_out_of_bounds_is_refused_with_the_name_of_the_field(maximum: int) -> None:
    with pytest.raises(ValidationFailed) as refused:
        QuotaUpdate.of(maximum, "day").on(None, key_id=KEY)
    assert [field for field, _ in refused.value.details] == ["quotaMax"]
