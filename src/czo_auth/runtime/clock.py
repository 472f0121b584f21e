"""The clock, which only the composition root reads."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_latest: tuple[int, datetime] = (0, _EPOCH)
"""The latest millisecond and its time: on a busy server, many requests share one. Replaced whole, for other threads."""


def utc_now() -> datetime:
    """Read the clock, to the millisecond that the database keeps."""
    global _latest
    milliseconds = time.time_ns() // 1_000_000
    known, now = _latest
    if milliseconds != known:
        now = _EPOCH + timedelta(milliseconds=milliseconds)
        _latest = milliseconds, now
    return now
