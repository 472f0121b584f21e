"""When keys were last used, gathered in memory (S19)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from czo_auth.core.api_keys.last_used import LastUsed

NOW = datetime(2026, 2, 13, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_first_use_is_gathered_once() -> None:
    last_used = LastUsed()
    last_used.saw("a", stored=None, now=NOW)
    assert last_used.take() == {"a": NOW}
    assert last_used.take() == {}


def test_key_is_noted_at_most_once_a_minute() -> None:
    last_used = LastUsed()
    last_used.saw("a", stored=None, now=NOW)
    last_used.take()
    last_used.saw("a", stored=None, now=NOW + MINUTE - timedelta(milliseconds=1))
    assert last_used.take() == {}
    last_used.saw("a", stored=None, now=NOW + MINUTE)
    assert last_used.take() == {"a": NOW + MINUTE}


def test_uses_of_other_keys_in_between_change_nothing() -> None:
    last_used = LastUsed()
    for name in "ab":
        last_used.saw(name, stored=None, now=NOW)
    last_used.take()
    for name in "ab":
        last_used.saw(name, stored=None, now=NOW)
    assert last_used.take() == {}


def test_what_another_process_wrote_counts_from_then_on() -> None:
    last_used = LastUsed()
    last_used.saw("a", stored=NOW, now=NOW + MINUTE / 2)
    # The next use is remembered, and comes without what the database says.
    last_used.saw("a", stored=None, now=NOW + MINUTE / 2)
    assert last_used.take() == {}
    last_used.saw("a", stored=None, now=NOW + MINUTE)
    assert last_used.take() == {"a": NOW + MINUTE}


def test_what_another_process_wrote_later_counts_more_than_ones_own() -> None:
    last_used = LastUsed()
    last_used.saw("a", stored=None, now=NOW)
    last_used.take()
    last_used.saw("a", stored=NOW + MINUTE, now=NOW + MINUTE * 1.5)
    last_used.saw("a", stored=NOW, now=NOW + MINUTE * 1.5)
    assert last_used.take() == {}


def test_clock_that_was_set_back_notes_nothing() -> None:
    last_used = LastUsed()
    last_used.saw("a", stored=None, now=NOW)
    last_used.take()
    last_used.saw("a", stored=None, now=NOW - timedelta(hours=1))
    assert last_used.take() == {}


def test_what_could_not_be_written_is_taken_back_and_newer_uses_win() -> None:
    last_used = LastUsed()
    for name in "ab":
        last_used.saw(name, stored=None, now=NOW)
    seen = last_used.take()
    last_used.saw("a", stored=None, now=NOW + MINUTE)
    last_used.give_back(seen)
    assert last_used.take() == {"a": NOW + MINUTE, "b": NOW}


def test_what_the_database_said_last_stands_against_what_it_said_before() -> None:
    last_used = LastUsed()
    last_used.saw("a", stored=NOW, now=NOW + MINUTE - timedelta(seconds=1))
    last_used.saw("a", stored=NOW - MINUTE, now=NOW + MINUTE - timedelta(seconds=1))
    assert last_used.take() == {}


def test_memory_of_noted_keys_is_bounded() -> None:
    last_used = LastUsed()
    for number in range(100_000):
        last_used.saw(str(number), stored=None, now=NOW)
    last_used.saw("0", stored=None, now=NOW)
    assert len(last_used.take()) == 100_000
    last_used.saw("one more", stored=None, now=NOW)
    last_used.saw("0", stored=None, now=NOW)
    assert set(last_used.take()) == {"one more", "0"}


def test_what_is_given_back_is_bounded() -> None:
    last_used = LastUsed()
    for number in range(100_000):
        last_used.saw(str(number), stored=None, now=NOW)
    last_used.give_back({"older": NOW - MINUTE})
    assert "older" not in last_used.take()
