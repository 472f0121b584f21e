from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from czo_auth.core.text import escape_control, relative_time


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("curl/8.5", "curl/8.5"),
        ("Ünïcödé 日本 👩‍💻", "Ünïcödé 日本 👩‍💻"),
        ("x\nINFO forged line", "x\\u000aINFO forged line"),
        ("\x1b[2J", "\\u001b[2J"),
        ("\x9b31m", "\\u009b31m"),
        ("a\u202egnp.exe", "a\\u202egnp.exe"),
        ("a\u2066b\u2069", "a\\u2066b\\u2069"),
        ("a\u2028b\u0085c\x00", "a\\u2028b\\u0085c\\u0000"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("back\\slash", "back\\slash"),
    ],
)
def test_what_could_forge_or_reorder_a_line_is_escaped(text: str, escaped: str) -> None:
    assert escape_control(text) == escaped


def test_long_text_is_cut_and_never_inside_an_escape() -> None:
    assert escape_control("a" * 257) == "a" * 255 + "…"
    assert escape_control("a" * 256) == "a" * 256
    assert escape_control("abc\n\n", limit=10) == "abc\\u000a…"


@given(st.text(st.characters(), max_size=60), st.integers(min_value=10, max_value=40))
def test_answer_is_short_printable_and_stays_as_it_is(text: str, limit: int) -> None:
    escaped = escape_control(text, limit=limit)
    assert len(escaped) <= limit
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in escaped)
    assert escape_control(escaped, limit=limit) == escaped
    escaped.encode("utf-8")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((-59, (0, "minutes")), (-119, (-1, "minutes")), (-86_400 * 2 + 1, (-1, "days"))),
        *((29, (0, "minutes")), (31, (1, "minutes")), (3_600 * 47 + 3_590, (2, "days"))),
        *((86_400 * 7 - 3, (7, "days")), (86_400 * 90 - 3, (3, "months")), (86_400 * 365 - 3, (1, "years"))),
    ],
)
def test_the_past_is_rounded_down_and_the_future_to_the_nearest(seconds: int, said: tuple[int, str]) -> None:
    now = datetime(2026, 7, 25, 12, tzinfo=UTC)
    assert relative_time(now + timedelta(seconds=seconds), now=now) == said
