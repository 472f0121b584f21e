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
    The progress of one sink.

    Attributes:
        behind: How many events wait for it.
        oldest_waiting_at: When the first of them was recorded; None when none waits.
        leased_until: Until when a process serves it; None when none does.
        dead_lettered: How many events it permanently refused.
    """

    name: str
    behind: int
    oldest_waiting_at: datetime | None
    leased_until: datetime | None
    dead_lettered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """
    An event that a sink permanently refused.

    Attributes:
        error: The last error.
        replay_at: When a replay was requested; None if none was.
    """

    sink: str
    event: Event
    error: str
    dead_lettered_at: datetime
    replay_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxState:
    """The stored events, and every sink that was ever served."""

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
        Let sinks that have no position yet start at that of *place*, or at the first event if there is none.

        In one transaction for all of them, before any is served; otherwise the first would move *place* past the
        others.
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
        Record that *sink* has everything up to *sequence*; False if the lease was lost.

        Args:
            joins: A position that advances with this one, for sinks that are added later.
        """

    def release_sink(self, sink: str, *, owner: str) -> None:
        """Release the lease, so that another process can take over immediately."""

    def dead_letter(self, sink: str, event: Event, *, error: str, now: datetime) -> None:
        """Dead-letter an event that *sink* refuses because of its content, so that later events are delivered."""

    def dead_letters(
        self, *, limit: int, sink: str | None = None, after: tuple[int, str] = (0, "")
    ) -> Sequence[DeadLetter]:
        """Read the dead letters after *after* (sequence and sink), oldest first; of one sink if given."""

    def replay(self, *, sink: str | None, event_id: str | None, now: datetime) -> int:
        """Request the replay of dead letters: all, or those of a sink or an event; return how many."""

    def replays(self, sink: str, *, limit: int) -> Sequence[Event]:
        """Read the dead letters of *sink* whose replay was requested, oldest first."""

    def end_replay(self, sink: str, sequence: int, *, error: str | None) -> None:
        """Delete a dead letter that was delivered, or store the new *error*."""

    def prune_dead_letters(self, *, before: datetime) -> int:
        """Delete dead letters from before *before*; return how many."""

    def state(self) -> OutboxState:
        """Return the progress of each sink, and the dead letters."""

    def retire_sink(self, name: str, *, now: datetime) -> bool:
        """
        Delete a sink that no process serves. One atomic statement: False if one does, or if there is no such sink.
        """

    def prune_events(self, *, before: datetime, abandoned: datetime | None = None) -> int:
        """
        Delete a batch of the events older than *before* that every known sink has had; return how many.

        Args:
            abandoned: Events older than this are deleted even if a sink still needs them, because a sink that is gone
                must not keep everything forever. None keeps them.
        """
