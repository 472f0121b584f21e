"""When sessions were last used, as one process collects it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from czo_auth.core.sessions.last_used import SessionUses

NOW = datetime(2026, 2, 13, 9, 30, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
MANY = 100_000


def test_use_is_written_at_most_once_a_minute() -> None:
    uses = SessionUses()
    uses.record_use("a", now=NOW)
    assert uses.take() == {"a": NOW}
    assert uses.take() == {}
    uses.record_use("a", now=NOW + MINUTE - SECOND)
    assert uses.take() == {}
    uses.record_use("a", now=NOW + MINUTE)
    assert uses.take() == {"a": NOW + MINUTE}


@pytest.mark.parametrize(
    ("idle", "every"), [(5 * MINUTE, 30 * SECOND), (10 * MINUTE, MINUTE), (HOUR, MINUTE)]
)
def test_use_is_written_after_a_tenth_of_the_time_that_a_session_may_be_idle(
    idle: timedelta, every: timedelta
) -> None:
    uses = SessionUses(idle=idle)
    uses.record_use("a", now=NOW)
    uses.record_use("a", now=NOW + every - SECOND)
    assert uses.take() == {"a": NOW}
    uses.record_use("a", now=NOW + every)
    assert uses.take() == {"a": NOW + every}


@pytest.mark.parametrize(
    ("stored", "seen", "is_idle"),
    [
        (NOW - HOUR, None, True),
        (NOW - HOUR + SECOND, None, False),
        (None, NOW - HOUR, True),
        (None, NOW - HOUR + SECOND, False),
        (NOW - 2 * HOUR, NOW - SECOND, False),
        (NOW - SECOND, NOW - 2 * HOUR, False),
        (NOW - 2 * HOUR, NOW - HOUR, True),
        (None, None, False),
    ],
)
def test_session_is_idle_when_its_newest_use_is_too_long_ago(
    stored: datetime | None, seen: datetime | None, is_idle: bool
) -> None:
    uses = SessionUses(idle=HOUR)
    if seen is not None:
        uses.record_use("a", now=seen)
    assert uses.is_idle("a", stored=stored, now=NOW) is is_idle
    assert SessionUses().is_idle("a", stored=stored, now=NOW) is False


def test_what_could_not_be_written_is_taken_back_and_newer_uses_win() -> None:
    uses = SessionUses()
    uses.record_use("a", now=NOW)
    uses.record_use("b", now=NOW)
    seen = uses.take()
    uses.record_use("b", now=NOW + MINUTE)
    uses.give_back(seen)
    assert uses.take() == {"a": NOW, "b": NOW + MINUTE}


def test_what_is_taken_back_is_bounded() -> None:
    uses = SessionUses()
    uses.give_back(dict.fromkeys(map(str, range(MANY - 1)), NOW))
    uses.give_back({"one more": NOW})
    uses.give_back({"too many": NOW})
    assert {"one more", "too many"} & uses.take().keys() == {"one more"}


def test_memory_is_bounded_and_every_session_is_written_again_after_it_is_cleared() -> None:
    uses = SessionUses(idle=HOUR)
    for number in range(MANY - 1):
        uses.record_use(str(number), now=NOW)
    uses.take()
    uses.record_use("1", now=NOW + SECOND)
    assert uses.take() == {}
    uses.record_use("the last one", now=NOW)
    assert uses.is_idle("2", stored=NOW - HOUR, now=NOW) is False
    uses.take()
    uses.record_use("1", now=NOW + 2 * SECOND)
    assert uses.take() == {"1": NOW + 2 * SECOND}
    assert uses.is_idle("2", stored=NOW - HOUR, now=NOW) is True
