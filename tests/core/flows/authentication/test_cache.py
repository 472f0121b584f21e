"""The memory of proved credentials (S18)."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from czo_auth.core.flows.authentication.cache import CredentialCache
from czo_auth.core.principal import Principal

NOW = datetime(2026, 2, 13, 9, 30, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
SECOND = timedelta(seconds=1)


class Stamps:
    """The part of a `Lookup` that memory needs."""

    def __init__(self, *, bound: timedelta | None = None) -> None:
        self.bound = bound
        self.present: object | None = object()

    def change_token(self) -> object | None:
        return self.present


def memory(lookup: Stamps | None = None, *, max_entries: int = 3) -> CredentialCache:
    stamps: Any = lookup or Stamps()
    return CredentialCache(stamps, max_entries=max_entries)


def anything(scope: str) -> bool:
    return True


def principal(name: str = "a") -> Principal:
    return Principal(
        kind="api_key",
        user_id=name,
        actor_type="customer",
        actor_types=frozenset({"customer"}),
        may_use=anything,
    )


def test_what_was_kept_is_found_under_the_same_stamp_only() -> None:
    cache, change_token = memory(), object()
    cache.put("a", principal(), change_token=change_token, until=LATER, now=NOW)
    assert cache.get("a", change_token=change_token, now=NOW) == principal()
    assert cache.get("b", change_token=change_token, now=NOW) is None
    assert cache.get("a", change_token=object(), now=NOW) is None
    assert cache.get("a", change_token=None, now=NOW) is None


def test_memory_is_empty_until_something_is_kept() -> None:
    cache = memory()
    assert cache.is_empty is True
    cache.put("a", principal(), change_token=object(), until=LATER, now=NOW)
    assert cache.is_empty is False


def test_change_tokens_are_distinguished_by_identity() -> None:
    cache = memory()
    one, alike = [1], [1]
    cache.put("a", principal(), change_token=one, until=LATER, now=NOW)
    assert cache.get("a", change_token=alike, now=NOW) is None
    assert cache.get("a", change_token=one, now=NOW) is not None


def test_nothing_is_kept_without_a_stamp() -> None:
    cache = memory()
    cache.put("a", principal(), change_token=None, until=LATER, now=NOW)
    assert cache.get("a", change_token=None, now=NOW) is None
    assert "a" not in cache


def test_new_stamp_forgets_all_that_was_kept_under_another() -> None:
    cache, old, new = memory(), object(), object()
    cache.put("a", principal("a"), change_token=old, until=LATER, now=NOW)
    cache.put("b", principal("b"), change_token=new, until=LATER, now=NOW)
    assert cache.get("a", change_token=old, now=NOW) is None
    assert cache.get("a", change_token=new, now=NOW) is None
    assert cache.get("b", change_token=new, now=NOW) == principal("b")


def test_fill_that_began_under_an_old_stamp_is_never_believed() -> None:
    cache, old, new = memory(), object(), object()
    cache.put("a", principal("a"), change_token=new, until=LATER, now=NOW)
    # Slow: it read before the change, and comes to keep it after others have moved on.
    cache.put("b", principal("b"), change_token=old, until=LATER, now=NOW)
    assert cache.get("b", change_token=new, now=NOW) is None
    assert cache.get("a", change_token=old, now=NOW) is None


def test_newer_proof_replaces_an_older_one() -> None:
    cache, change_token = memory(), object()
    cache.put("a", principal("a"), change_token=change_token, until=LATER, now=NOW)
    cache.put("a", principal("b"), change_token=change_token, until=NOW + SECOND, now=NOW)
    assert cache.get("a", change_token=change_token, now=NOW) == principal("b")
    assert cache.get("a", change_token=change_token, now=NOW + SECOND) is None


def test_credential_is_found_until_its_end_and_not_at_it() -> None:
    cache, change_token = memory(), object()
    cache.put("a", principal(), change_token=change_token, until=NOW + SECOND, now=NOW)
    assert cache.get("a", change_token=change_token, now=NOW + SECOND - timedelta(milliseconds=1)) is not None
    assert cache.get("a", change_token=change_token, now=NOW + SECOND) is None


@pytest.mark.parametrize(("end", "expected"), [(SECOND / 2, SECOND / 2), (10 * SECOND, SECOND)])
def test_bound_is_the_longest_that_anything_is_believed(end: timedelta, expected: timedelta) -> None:
    cache, change_token = memory(Stamps(bound=SECOND)), object()
    cache.put("a", principal(), change_token=change_token, until=NOW + end, now=NOW)
    assert (
        cache.get("a", change_token=change_token, now=NOW + expected - timedelta(milliseconds=1)) is not None
    )
    assert cache.get("a", change_token=change_token, now=NOW + expected) is None


def test_clock_that_was_set_back_stretches_nothing() -> None:
    cache, change_token = memory(Stamps(bound=SECOND)), object()
    cache.put("a", principal(), change_token=change_token, until=LATER, now=NOW)
    assert cache.get("a", change_token=change_token, now=NOW - timedelta(milliseconds=1)) is None
    assert cache.get("a", change_token=change_token, now=NOW - timedelta(hours=1)) is None


def test_oldest_goes_when_there_are_too_many() -> None:
    cache, change_token = memory(max_entries=3), object()
    for name in "abcd":
        cache.put(name, principal(name), change_token=change_token, until=LATER, now=NOW)
    assert [name for name in "abcd" if cache.get(name, change_token=change_token, now=NOW)] == ["b", "c", "d"]


@pytest.mark.parametrize(("again", "left"), [("a", "acd"), ("b", "bcd")])
def test_credential_that_is_kept_again_pushes_nobody_out_and_is_young_again(again: str, left: str) -> None:
    cache, change_token = memory(max_entries=3), object()
    for name in "abc" + again:
        cache.put(name, principal(name), change_token=change_token, until=LATER, now=NOW)
    assert all(name in cache for name in "abc")
    cache.put("d", principal("d"), change_token=change_token, until=LATER, now=NOW)
    assert "".join(name for name in "abcd" if name in cache) == left


def test_asking_for_unknown_ones_keeps_and_pushes_out_nothing() -> None:
    cache, change_token = memory(max_entries=3), object()
    for name in "abc":
        cache.put(name, principal(name), change_token=change_token, until=LATER, now=NOW)
    for number in range(1000):
        assert cache.get(f"unknown {number}", change_token=change_token, now=NOW) is None
    assert all(cache.get(name, change_token=change_token, now=NOW) for name in "abc")


def test_empty_cache_asks_for_no_change_token() -> None:
    assert memory(max_entries=0).change_token() is None
    lookup = Stamps()
    assert memory(lookup).change_token() is lookup.present


def test_two_threads_with_stamps_of_their_own_never_believe_each_others() -> None:
    cache, one, two = memory(Stamps(bound=SECOND), max_entries=10), object(), object()
    overtaken, go_on = threading.Event(), threading.Event()

    class SlowlyCompared(datetime):
        """Holds its thread up after that has found its stamp to be the present one, and before it keeps."""

        def __gt__(self, other: object) -> bool:
            overtaken.set()
            return go_on.wait(10)

    end = SlowlyCompared(2030, 1, 1, tzinfo=UTC)
    keeping = threading.Thread(
        target=lambda: cache.put("old", principal("old"), change_token=one, until=end, now=NOW)
    )
    keeping.start()
    assert overtaken.wait(10)
    cache.put("new", principal("new"), change_token=two, until=LATER, now=NOW)
    go_on.set()
    keeping.join()
    assert cache.get("old", change_token=two, now=NOW) is None
    assert cache.get("new", change_token=two, now=NOW) == principal("new")


def test_current_is_what_is_found_under_the_change_token_of_now() -> None:
    lookup = Stamps()
    cache = memory(lookup)
    cache.put("a", principal(), change_token=lookup.present, until=LATER, now=NOW)
    assert cache.get_current("a", clock=lambda: NOW + SECOND) == (principal(), NOW + SECOND)
    assert cache.get_current("a", clock=lambda: NOW - SECOND) is None
    assert cache.get_current("a", clock=lambda: LATER) is None
    for another in (object(), None):
        lookup.present = another
        assert cache.get_current("a", clock=lambda: NOW) is None


def test_current_asks_for_nothing_where_nothing_is_known() -> None:
    def no_clock() -> datetime:
        raise AssertionError("the clock is asked for what is known only")

    assert memory().get_current("a", clock=no_clock) is None
