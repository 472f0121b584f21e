"""How long keys live, as arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from czo_auth.core.api_keys.lifetime import (
    bounded_end,
    checked_days,
    days_left,
    notice_within,
    shorter,
    warning_before_disuse,
)
from czo_auth.core.errors import LifetimeTooLong, ValidationFailed

NOW = datetime(2026, 2, 13, 9, 30, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


@pytest.mark.parametrize(
    ("life", "notice"),
    [
        (40 * DAY, None),
        (30 * DAY + SECOND, None),
        (30 * DAY, 30),
        (7 * DAY + SECOND, 30),
        (5 * DAY, 7),
        (DAY + SECOND, 7),
        (DAY, 1),
        (SECOND, 1),
    ],
)
def test_notice_that_counts_is_the_nearest_one(life: timedelta, notice: int | None) -> None:
    assert notice_within(NOW + life, now=NOW) == notice


def test_key_without_an_end_has_no_notice() -> None:
    assert notice_within(None, now=NOW) is None


def test_maximum_lifetime_applies_when_no_expiry_is_requested() -> None:
    assert bounded_end(None, longest_days=None, since=NOW) is None
    assert bounded_end(None, longest_days=3, since=NOW) == NOW + 3 * DAY
    assert bounded_end(NOW + 3 * DAY, longest_days=3, since=NOW) == NOW + 3 * DAY
    with pytest.raises(LifetimeTooLong):
        bounded_end(NOW + 3 * DAY + SECOND, longest_days=3, since=NOW)


def test_shorter_bound_wins() -> None:
    assert [shorter(None, None), shorter(3, None), shorter(None, 4), shorter(5, 4)] == [None, 3, 4, 4]


def test_begun_days_count_as_whole() -> None:
    assert [days_left(NOW + left, now=NOW) for left in (7 * DAY, 7 * DAY - SECOND, SECOND, -DAY)] == [
        7,
        7,
        1,
        0,
    ]


def test_disuse_is_warned_of_a_week_before_or_half_of_a_short_time() -> None:
    assert [warning_before_disuse(days) for days in (90, 14, 10, 1)] == [7 * DAY, 7 * DAY, 5 * DAY, DAY / 2]


@pytest.mark.parametrize(("days", "said"), [(1, "1 day here"), (2, "2 days here")])
def test_expiry_beyond_the_maximum_lifetime_is_refused(days: int, said: str) -> None:
    with pytest.raises(LifetimeTooLong) as caught:
        bounded_end(NOW + days * DAY + SECOND, longest_days=days, since=NOW)
    assert caught.value.details == (("expiresAt", f"A key lives at most {said}."),)


@pytest.mark.parametrize("days", [None, 1, 3650])
def test_days_within_ten_years_are_taken(days: int | None) -> None:
    assert checked_days(days, field="apiKeyMaxDays") == days


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_other_days_are_refused_under_the_name_of_their_field(days: int) -> None:
    with pytest.raises(ValidationFailed) as caught:
        checked_days(days, field="apiKeyMaxDays")
    assert [field for field, _ in caught.value.details] == ["apiKeyMaxDays"]
