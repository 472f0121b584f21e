"""Times and words, as both databases keep them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from czo_auth.storage.column_types import from_milliseconds, join_words, json_text, to_milliseconds

times = st.datetimes(timezones=st.timezones(), allow_imaginary=False).filter(lambda at: 2 <= at.year <= 9998)


@given(times)
def test_time_is_cut_to_whole_milliseconds_and_nothing_else(at: datetime) -> None:
    back = from_milliseconds(to_milliseconds(at))
    assert timedelta(0) <= at.astimezone(UTC) - back < timedelta(milliseconds=1)
    assert to_milliseconds(back) == to_milliseconds(at)


@given(times, times)
def test_order_of_times_is_kept(first: datetime, second: datetime) -> None:
    if first <= second:
        assert to_milliseconds(first) <= to_milliseconds(second)


def test_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        to_milliseconds(datetime(2026, 1, 1))  # noqa: DTZ001


@given(st.lists(st.text(min_size=1).filter(lambda word: word.split() == [word])))
def test_words_come_back_as_they_were(words: list[str]) -> None:
    assert join_words(words).split() == words


@pytest.mark.parametrize("word", ["", " ", "a b", "a\n", "\u2003a", "a\x1cb"])
def test_word_that_would_be_read_as_others_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="white space"):
        join_words(["fine", word])


def test_json_has_one_text_for_one_value() -> None:
    assert json_text({"b": 1, "a": "ü"}) == json_text({"a": "ü", "b": 1}) == '{"a":"\\u00fc","b":1}'
    with pytest.raises(ValueError, match="JSON"):
        json_text(float("inf"))
