"""Timestamp formatting for API responses."""

from __future__ import annotations

from datetime import UTC, datetime


def format_timestamp(at: datetime) -> str:
    """Write a time as ``YYYY-MM-DDTHH:MM:SS.mmmZ``; six digits are misread by JavaScript clients."""
    utc = at.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def format_timestamp_or_none(at: datetime | None) -> str | None:
    """Write a time, if there is one."""
    return None if at is None else format_timestamp(at)
