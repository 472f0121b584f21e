"""Times that clients send (docs/reference/rest.md)."""

from __future__ import annotations

import pytest

from czo_auth.asgi.timestamps import format_timestamp, parse_timestamp


@pytest.mark.parametrize(
    "text",
    [
        "2027-13-01T00:00:00Z",
        "2027-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2027-01-01T25:00:00Z",
        "2027-01-01T00:00:60Z",
        "2027-01-01T00:00:00+99:99",
        "2027-01-01 00:00:00Z",
        "2027-01-01T00:00:00",
        "tomorrow",
        "",
        None,
        1,
    ],
)
def test_every_malformed_time_is_refused_with_one_sentence(text: object) -> None:
    with pytest.raises(ValueError, match=r"^A time must look like 2026-01-31T12:00:00\.000Z\.$"):
        parse_timestamp(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_time_outside_the_calendar_is_refused_with_one_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^A time must lie between the years 1 and 9999\.$"):
        parse_timestamp(text)


def test_time_is_read_in_utc_and_to_the_millisecond() -> None:
    assert (
        format_timestamp(parse_timestamp("2027-01-01T01:30:00.123999999+01:30")) == "2027-01-01T00:00:00.123Z"
    )
