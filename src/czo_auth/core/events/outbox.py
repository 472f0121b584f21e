"""The port of the outbox: events on their way to sinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from czo_auth.core.events.types import Event, EventFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkState:
    """
    How far one sink has come.

    Attributes:
        behind: How many events wait for it.
        oldest_waiting_at: When the first of them was recorded; None when none waits.
        leased_until: Until when a process serves it; None when none does.
        dead_lettered: How many events it refused.
    """

    name: str
    behind: int
    oldest_waiting_at: datetime | None
    leased_until: datetime | None
    dead_lettered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """
    An event that a sink refused for good.

    Attributes:
        error: What it said last.
        replay_at: When somebody asked to offer it once more; None when nobody did.
    """

    sink: str
    event: Event
    error: str
    dead_lettered_at: datetime
    replay_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxState:
    """The events that are kept, and every sink that was ever served."""

    events: int
    sinks: Sequence[SinkState]


class Outbox(Protocol):
    """
    Events that wait for delivery. The audit log fills it, in the transaction of the change (S34).

    Promise: sequence numbers grow in the order of the commits, so that a reader that remembers the last number it saw
    misses nothing.
    """

    def events_after(
        self, sequence: int, *, limit: int, matching: EventFilter | None = None
    ) -> Sequence[Event]:
        """Read events beyond *sequence* that match, oldest first."""

    def events_before(
        self, sequence: int | None, *, limit: int, matching: EventFilter | None = None
    ) -> Sequence[Event]:
        """Read events below *sequence* (None: from the end) that match, newest first."""

    def join_sinks(self, names: Sequence[str], *, place: str) -> None:
        """
        Let sinks that have no place yet begin where *place* is, or at the first event when there is no such.

        In one transaction for all of them, before any is served: else the first moves *place* on past the others.
        """

    def claim_sink(self, sink: str, *, owner: str, until: datetime, now: datetime) -> int | None:
        """
        Take or extend the lease on *sink* for *owner*.

        One atomic statement: two owners never hold it at once.

        Returns:
            The last sequence delivered, or None when another owner holds an unexpired lease.
        """

    def advance_sink(self, sink: str, *, owner: str, sequence: int, joins: str | None = None) -> bool:
        """
        Remember that *sink* has everything up to *sequence*; False when the lease was lost.

        Args:
            joins: A place that moves along, for sinks that come later.
        """

    def release_sink(self, sink: str, *, owner: str) -> None:
        """Give the lease back, so that another process may take over at once."""

    def dead_letter(self, sink: str, event: Event, *, error: str, now: datetime) -> None:
        """Put aside an event that *sink* refuses for its content, so that those behind it go on."""

    def dead_letters(
        self, *, limit: int, sink: str | None = None, after: tuple[int, str] = (0, "")
    ) -> Sequence[DeadLetter]:
        """Read the events put aside beyond *after* (sequence and sink), oldest first; of one sink if given."""

    def replay(self, *, sink: str | None, event_id: str | None, now: datetime) -> int:
        """Ask that dead letters are offered once more, all or those of a sink or an event; answer how many."""

    def replays(self, sink: str, *, limit: int) -> Sequence[Event]:
        """Read the dead letters that are to be offered to *sink* once more, oldest first."""

    def end_replay(self, sink: str, sequence: int, *, error: str | None) -> None:
        """Forget a dead letter that was taken, or keep it with the *error* that it met."""

    def prune_dead_letters(self, *, before: datetime) -> int:
        """Delete dead letters that were put aside before *before*; answer how many."""

    def state(self) -> OutboxState:
        """Return how far each sink has come, and what was put aside."""

    def retire_sink(self, name: str, *, now: datetime) -> bool:
        """Forget a sink that no process serves now. One atomic statement: False when one does, or there is none."""

    def prune_events(self, *, before: datetime, abandoned: datetime | None = None) -> int:
        """
        Delete a batch of the events older than *before* that every known sink has had; answer how many.

        Args:
            abandoned: Events older than this are deleted even if a sink waits for them: a sink that is gone must not
            keep
                everything for ever. None keeps them.
        """
