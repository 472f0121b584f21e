"""The memory of proved credentials (S18)."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from czo_auth.core.flows.authentication.cache import ProvedCredentials
from czo_auth.core.principal import Principal

NOW = datetime(2026, 2, 13, 9, 30, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
SECOND = timedelta(seconds=1)


class Stamps:
    """The part of a `Lookup` that memory needs."""

    def __init__(self, *, bound: timedelta | None = None) -> None:
        self.bound = bound
        self.present: object | None = object()

    def stamp(self) -> object | None:
        return self.present


def memory(lookup: Stamps | None = None, *, most: int = 3) -> ProvedCredentials:
    stamps: Any = lookup or Stamps()
    return ProvedCredentials(stamps, most=most)


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
    proved, stamp = memory(), object()
    proved.keep("a", principal(), stamp=stamp, until=LATER, now=NOW)
    assert proved.find("a", stamp=stamp, now=NOW) == principal()
    assert proved.find("b", stamp=stamp, now=NOW) is None
    assert proved.find("a", stamp=object(), now=NOW) is None
    assert proved.find("a", stamp=None, now=NOW) is None


def test_memory_is_empty_until_something_is_kept() -> None:
    proved = memory()
    assert proved.is_empty is True
    proved.keep("a", principal(), stamp=object(), until=LATER, now=NOW)
    assert proved.is_empty is False


def test_stamps_are_told_apart_by_identity() -> None:
    proved = memory()
    one, alike = [1], [1]
    proved.keep("a", principal(), stamp=one, until=LATER, now=NOW)
    assert proved.find("a", stamp=alike, now=NOW) is None
    assert proved.find("a", stamp=one, now=NOW) is not None


def test_nothing_is_kept_without_a_stamp() -> None:
    proved = memory()
    proved.keep("a", principal(), stamp=None, until=LATER, now=NOW)
    assert proved.find("a", stamp=None, now=NOW) is None
    assert "a" not in proved


def test_new_stamp_forgets_all_that_was_kept_under_another() -> None:
    proved, old, new = memory(), object(), object()
    proved.keep("a", principal("a"), stamp=old, until=LATER, now=NOW)
    proved.keep("b", principal("b"), stamp=new, until=LATER, now=NOW)
    assert proved.find("a", stamp=old, now=NOW) is None
    assert proved.find("a", stamp=new, now=NOW) is None
    assert proved.find("b", stamp=new, now=NOW) == principal("b")


def test_fill_that_began_under_an_old_stamp_is_never_believed() -> None:
    proved, old, new = memory(), object(), object()
    proved.keep("a", principal("a"), stamp=new, until=LATER, now=NOW)
    # Slow: it read before the change, and comes to keep it after others have moved on.
    proved.keep("b", principal("b"), stamp=old, until=LATER, now=NOW)
    assert proved.find("b", stamp=new, now=NOW) is None
    assert proved.find("a", stamp=old, now=NOW) is None


def test_newer_proof_replaces_an_older_one() -> None:
    proved, stamp = memory(), object()
    proved.keep("a", principal("a"), stamp=stamp, until=LATER, now=NOW)
    proved.keep("a", principal("b"), stamp=stamp, until=NOW + SECOND, now=NOW)
    assert proved.find("a", stamp=stamp, now=NOW) == principal("b")
    assert proved.find("a", stamp=stamp, now=NOW + SECOND) is None


def test_credential_is_found_until_its_end_and_not_at_it() -> None:
    proved, stamp = memory(), object()
    proved.keep("a", principal(), stamp=stamp, until=NOW + SECOND, now=NOW)
    assert proved.find("a", stamp=stamp, now=NOW + SECOND - timedelta(milliseconds=1)) is not None
    assert proved.find("a", stamp=stamp, now=NOW + SECOND) is None


@pytest.mark.parametrize(("end", "expected"), [(SECOND / 2, SECOND / 2), (10 * SECOND, SECOND)])
def test_bound_is_the_longest_that_anything_is_believed(end: timedelta, expected: timedelta) -> None:
    proved, stamp = memory(Stamps(bound=SECOND)), object()
    proved.keep("a", principal(), stamp=stamp, until=NOW + end, now=NOW)
    assert proved.find("a", stamp=stamp, now=NOW + expected - timedelta(milliseconds=1)) is not None
    assert proved.find("a", stamp=stamp, now=NOW + expected) is None


def test_clock_that_was_set_back_stretches_nothing() -> None:
    proved, stamp = memory(Stamps(bound=SECOND)), object()
    proved.keep("a", principal(), stamp=stamp, until=LATER, now=NOW)
    assert proved.find("a", stamp=stamp, now=NOW - timedelta(milliseconds=1)) is None
    assert proved.find("a", stamp=stamp, now=NOW - timedelta(hours=1)) is None


def test_oldest_goes_when_there_are_too_many() -> None:
    proved, stamp = memory(most=3), object()
    for name in "abcd":
        proved.keep(name, principal(name), stamp=stamp, until=LATER, now=NOW)
    assert [name for name in "abcd" if proved.find(name, stamp=stamp, now=NOW)] == ["b", "c", "d"]


@pytest.mark.parametrize(("again", "left"), [("a", "acd"), ("b", "bcd")])
def test_credential_that_is_kept_again_pushes_nobody_out_and_is_young_again(again: str, left: str) -> None:
    proved, stamp = memory(most=3), object()
    for name in "abc" + again:
        proved.keep(name, principal(name), stamp=stamp, until=LATER, now=NOW)
    assert all(name in proved for name in "abc")
    proved.keep("d", principal("d"), stamp=stamp, until=LATER, now=NOW)
    assert "".join(name for name in "abcd" if name in proved) == left


def test_asking_for_unknown_ones_keeps_and_pushes_out_nothing() -> None:
    proved, stamp = memory(most=3), object()
    for name in "abc":
        proved.keep(name, principal(name), stamp=stamp, until=LATER, now=NOW)
    for number in range(1000):
        assert proved.find(f"unknown {number}", stamp=stamp, now=NOW) is None
    assert all(proved.find(name, stamp=stamp, now=NOW) for name in "abc")


def test_memory_of_nothing_asks_for_no_stamp() -> None:
    assert memory(most=0).stamp() is None
    lookup = Stamps()
    assert memory(lookup).stamp() is lookup.present


def test_two_threads_with_stamps_of_their_own_never_believe_each_others() -> None:
    proved, one, two = memory(Stamps(bound=SECOND), most=10), object(), object()
    overtaken, go_on = threading.Event(), threading.Event()

    class SlowlyCompared(datetime):
        """Holds its thread up after that has found its stamp to be the present one, and before it keeps."""

        def __gt__(self, other: object) -> bool:
            overtaken.set()
            return go_on.wait(10)

    end = SlowlyCompared(2030, 1, 1, tzinfo=UTC)
    keeping = threading.Thread(
        target=lambda: proved.keep("old", principal("old"), stamp=one, until=end, now=NOW)
    )
    keeping.start()
    assert overtaken.wait(10)
    proved.keep("new", principal("new"), stamp=two, until=LATER, now=NOW)
    go_on.set()
    keeping.join()
    assert proved.find("old", stamp=two, now=NOW) is None
    assert proved.find("new", stamp=two, now=NOW) == principal("new")
