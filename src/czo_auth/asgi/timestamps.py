"""Timestamps as the API reads and writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_FORM: Final = "A time must look like 2026-01-31T12:00:00.000Z."


def format_timestamp(at: datetime) -> str:
    """Write a time as ``YYYY-MM-DDTHH:MM:SS.mmmZ``; six digits are misread by JavaScript clients."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def format_timestamp_or_none(at: datetime | None) -> str | None:
    """Write a time, if there is one."""
    return None if at is None else format_timestamp(at)


def parse_timestamp(value: object) -> datetime:
    """
    Read an ISO 8601 time with date, seconds and time zone; digits beyond milliseconds are dropped.

    Raises:
        ValueError: It has another form, does not exist, or lies outside the years 1 to 9999; the message says so.
    """
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        raise ValueError(_FORM)
    try:
        moment = datetime.fromisoformat(value).astimezone(UTC)
    except OverflowError:
        # In year 1 or 9999, an offset can lead outside Python's range of dates.
        raise ValueError("A time must lie between the years 1 and 9999.") from None
    except ValueError:
        # Python's own message differs between versions and repeats the input.
        raise ValueError(_FORM) from None
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
