"""The clock tells whole milliseconds, whichever request asks."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from czo_auth.runtime.clock import utc_now


def test_time_is_the_present_one_to_the_millisecond() -> None:
    for _ in range(2_000):
        before = datetime.now(UTC) - timedelta(milliseconds=1)
        now = utc_now()
        assert before < now <= datetime.now(UTC)
        assert now.microsecond % 1000 == 0
        assert now.tzinfo is UTC


@pytest.mark.parametrize("milliseconds", [0, 1, 1_700_000_000_123, 253_402_300_799_999])
def test_every_millisecond_is_exact_also_after_the_clock_was_set_back(
    milliseconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    for nanoseconds in (milliseconds * 1_000_000 + 999_999, milliseconds * 1_000_000):
        monkeypatch.setattr(time, "time_ns", lambda told=nanoseconds: told)
        assert utc_now() == wanted
