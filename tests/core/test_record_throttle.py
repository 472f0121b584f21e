"""What is recorded once in a while is remembered, and the memory of it is bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from czo_auth.core.limits import MAX_RECORDED_REFUSALS
from czo_auth.core.record_throttle import RECORDED_EVERY, RecordThrottle

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def test_it_is_due_once_in_an_hour_and_again_when_the_clock_goes_back() -> None:
    recorded = RecordThrottle()
    assert recorded.claim("a", now=NOW)
    assert not recorded.claim("a", now=NOW + RECORDED_EVERY - timedelta(seconds=1))
    assert recorded.claim("b", now=NOW)
    assert recorded.claim("a", now=NOW + RECORDED_EVERY)
    assert recorded.claim("a", now=NOW)
    recorded.forget("a")
    assert recorded.claim("a", now=NOW)


def test_memory_of_it_is_bounded_and_the_newest_stay() -> None:
    recorded = RecordThrottle()
    for number in range(MAX_RECORDED_REFUSALS + 50):
        assert recorded.claim(number, now=NOW)
    assert len(recorded._recorded) == MAX_RECORDED_REFUSALS
    assert not recorded.claim(MAX_RECORDED_REFUSALS + 49, now=NOW)
    assert recorded.claim(0, now=NOW)
