"""Uses of keys, counted in memory (S19)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from czo_auth.core.api_keys.usage import DayUsage, GatheredUses, KeyUsage, LastUse

NOW = datetime(2026, 2, 13, 9, 30, tzinfo=UTC)
TODAY = NOW.date()
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def count_use(usage: KeyUsage, key_id: str, *, stored: datetime | None = None, now: datetime = NOW) -> None:
    usage.count_use(key_id, stored=stored, address=None, now=now)


def latest(usage: KeyUsage) -> dict[str, datetime]:
    """Take what was gathered, and give when each key was last used."""
    return {key_id: last.at for key_id, last in usage.take().latest.items()}


def days(gathered: GatheredUses) -> dict[tuple[str, date], tuple[int, int]]:
    return {(key_id, each.day): (each.used, each.refused) for key_id, each in gathered.days()}


# --- when a key was last used ----------------------------------------------------------------------------------------
def test_first_use_is_gathered_once() -> None:
    usage = KeyUsage()
    count_use(usage, "a")
    assert latest(usage) == {"a": NOW}
    assert not usage.take()


def test_key_is_noted_at_most_once_a_minute() -> None:
    usage = KeyUsage()
    count_use(usage, "a")
    usage.take()
    count_use(usage, "a", now=NOW + MINUTE - timedelta(milliseconds=1))
    assert latest(usage) == {}
    count_use(usage, "a", now=NOW + MINUTE)
    assert latest(usage) == {"a": NOW + MINUTE}


def test_uses_of_other_keys_in_between_change_nothing() -> None:
    usage = KeyUsage()
    for name in "ab":
        count_use(usage, name)
    usage.take()
    for name in "ab":
        count_use(usage, name)
    assert latest(usage) == {}


def test_what_another_process_wrote_counts_from_then_on() -> None:
    usage = KeyUsage()
    count_use(usage, "a", stored=NOW, now=NOW + MINUTE / 2)
    # The next use is remembered, and comes without what the database says.
    count_use(usage, "a", now=NOW + MINUTE / 2)
    assert latest(usage) == {}
    count_use(usage, "a", now=NOW + MINUTE)
    assert latest(usage) == {"a": NOW + MINUTE}


def test_what_another_process_wrote_later_counts_more_than_ones_own() -> None:
    usage = KeyUsage()
    count_use(usage, "a")
    usage.take()
    count_use(usage, "a", stored=NOW + MINUTE, now=NOW + MINUTE * 1.5)
    count_use(usage, "a", stored=NOW, now=NOW + MINUTE * 1.5)
    assert latest(usage) == {}


def test_clock_that_was_set_back_notes_nothing() -> None:
    usage = KeyUsage()
    count_use(usage, "a")
    usage.take()
    count_use(usage, "a", now=NOW - timedelta(hours=1))
    assert latest(usage) == {}


def test_latest_state_of_the_database_replaces_an_earlier_one() -> None:
    usage = KeyUsage()
    count_use(usage, "a", stored=NOW, now=NOW + MINUTE - timedelta(seconds=1))
    count_use(usage, "a", stored=NOW - MINUTE, now=NOW + MINUTE - timedelta(seconds=1))
    assert latest(usage) == {}


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2::9", "2001:db8:1::/48"),
        (None, None),
        ("not an address", None),
    ],
)
def test_of_an_address_only_the_network_is_noted(address: str | None, network: str | None) -> None:
    usage = KeyUsage()
    usage.count_use("a", stored=None, address=lambda: address, now=NOW)
    assert usage.take().latest == {"a": LastUse(NOW, network)}


def test_address_is_asked_once_a_minute_and_not_at_all_where_it_is_not_recorded() -> None:
    asked = []

    def address() -> str:
        asked.append(1)
        return "203.0.113.77"

    usage = KeyUsage()
    for _ in range(5):
        usage.count_use("a", stored=None, address=address, now=NOW)
    assert len(asked) == 1
    silent = KeyUsage(records_addresses=False)
    silent.count_use("a", stored=None, address=address, now=NOW)
    assert len(asked) == 1
    assert silent.take().latest == {"a": LastUse(NOW, None)}


# --- how often -------------------------------------------------------------------------------------------------------
def test_every_use_and_every_refusal_is_counted() -> None:
    usage = KeyUsage()
    for _ in range(3):
        count_use(usage, "a")
    usage.count_refusal("a", now=NOW)
    usage.count_refusal("b", now=NOW)
    assert days(usage.take()) == {("a", TODAY): (3, 1), ("b", TODAY): (0, 1)}


def test_day_changes_at_midnight_in_utc_and_back_with_the_clock() -> None:
    usage = KeyUsage()
    midnight = datetime(2026, 2, 14, tzinfo=UTC)
    for at in (midnight - timedelta(milliseconds=1), midnight, midnight + DAY, midnight - DAY / 2):
        count_use(usage, "a", now=at)
    usage.count_refusal("a", now=midnight)
    assert days(usage.take()) == {
        ("a", TODAY): (2, 0),
        ("a", TODAY + DAY): (1, 1),
        ("a", TODAY + 2 * DAY): (1, 0),
    }
    count_use(usage, "a", now=midnight - DAY / 2)
    assert days(usage.take()) == {("a", TODAY): (1, 0)}


def test_what_is_counted_after_a_take_is_not_in_what_was_taken() -> None:
    usage = KeyUsage()
    count_use(usage, "a")
    taken = usage.take()
    count_use(usage, "a")
    assert days(taken) == days(usage.take()) == {("a", TODAY): (1, 0)}


def test_what_could_not_be_written_is_taken_back_and_newer_uses_win() -> None:
    usage = KeyUsage()
    for name in "ab":
        count_use(usage, name)
    usage.count_refusal("b", now=NOW)
    gathered = usage.take()
    count_use(usage, "a", now=NOW + MINUTE)
    usage.give_back(gathered)
    taken = usage.take()
    assert {key_id: last.at for key_id, last in taken.latest.items()} == {"a": NOW + MINUTE, "b": NOW}
    assert days(taken) == {("a", TODAY): (2, 0), ("b", TODAY): (1, 1)}


def test_days_are_reported_in_one_order() -> None:
    usage = KeyUsage()
    for at in (NOW + DAY, NOW):
        for name in "ba":
            count_use(usage, name, now=at)
    reported = [(key_id, each.day) for key_id, each in usage.take().days()]
    assert reported == [("a", TODAY), ("a", TODAY + DAY), ("b", TODAY), ("b", TODAY + DAY)]


# --- bounds ----------------------------------------------------------------------------------------------------------
def test_memory_of_noted_keys_is_bounded() -> None:
    usage = KeyUsage()
    for number in range(100_001):
        count_use(usage, str(number))
        usage.count_refusal(str(number), now=NOW)
    gathered = usage.take()
    counted = [gathered.latest, gathered.used[TODAY], gathered.refused[TODAY]]
    assert [len(each) for each in counted] == [100_000] * 3
    count_use(usage, "one more")
    count_use(usage, "0")
    assert set(latest(usage)) == {"one more", "0"}


def test_what_is_given_back_is_bounded() -> None:
    usage = KeyUsage()
    for number in range(100_000):
        count_use(usage, str(number))
    usage.give_back(GatheredUses(latest={"older": LastUse(NOW, None)}, used={TODAY: {"older": 1}}))
    gathered = usage.take()
    assert "older" not in gathered.latest
    assert "older" not in gathered.used[TODAY]
    for number in range(10):
        usage.give_back(GatheredUses(used={TODAY + number * DAY: {"a": 1}}))
    assert len(usage.take().used) == 3


def test_sum_of_all_days_is_what_was_used() -> None:
    gathered = GatheredUses(used={TODAY: {"a": 2}, TODAY + DAY: {"a": 3, "b": 1}}, refused={TODAY: {"c": 1}})
    assert [gathered.used_in_all(key_id) for key_id in "abc"] == [5, 1, 0]
    assert gathered.keys() == {"a", "b", "c"}
    assert list(GatheredUses(refused={TODAY: {"c": 1}}).days()) == [
        ("c", DayUsage(day=TODAY, used=0, refused=1))
    ]
