"""The outbox, in SQL; `czo_auth.storage.audit_log` fills it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import case, delete, func, literal, or_, select, true, update

from czo_auth.core.events.outbox import Outbox, OutboxState, SinkState
from czo_auth.core.events.types import Event
from czo_auth.storage.store import Store, columns


class SqlOutbox(Store, Outbox):
    """The outbox of one transaction."""

    def events_after(self, sequence: int, *, limit: int) -> Sequence[Event]:
        events = self._tables.events
        statement = select(*columns(events, Event)).where(events.c.sequence > sequence)
        return self._all(Event, statement.order_by(events.c.sequence).limit(limit))

    def events_before(self, sequence: int | None, *, limit: int, event_type: str | None) -> Sequence[Event]:
        events = self._tables.events
        below = events.c.sequence < sequence if sequence is not None else true()
        of_type = events.c.type == event_type if event_type is not None else true()
        statement = select(*columns(events, Event)).where(below, of_type)
        return self._all(Event, statement.order_by(events.c.sequence.desc()).limit(limit))

    def claim_sink(self, sink: str, *, owner: str, until: datetime, now: datetime) -> int | None:
        sinks = self._tables.sinks
        fresh = self._insert(sinks).values(name=sink, sequence=0, owner=owner, leased_until=until)
        claimed = fresh.on_conflict_do_update(
            index_elements=["name"],
            set_={"owner": fresh.excluded.owner, "leased_until": fresh.excluded.leased_until},
            where=or_(sinks.c.owner.is_(None), sinks.c.owner == owner, sinks.c.leased_until <= now),
        ).returning(sinks.c.sequence)
        return self._connection.execute(claimed).scalar_one_or_none()

    def advance_sink(self, sink: str, *, owner: str, sequence: int) -> bool:
        sinks = self._tables.sinks
        furthest = case((sinks.c.sequence < sequence, sequence), else_=sinks.c.sequence)
        statement = update(sinks).where(sinks.c.name == sink, sinks.c.owner == owner)
        return self._count(statement.values(sequence=furthest)) == 1

    def release_sink(self, sink: str, *, owner: str) -> None:
        sinks = self._tables.sinks
        statement = update(sinks).where(sinks.c.name == sink, sinks.c.owner == owner)
        self._connection.execute(statement.values(owner=None, leased_until=None))

    def dead_letter(self, sink: str, event: Event, *, error: str, now: datetime) -> None:
        events, dead_lettered = self._tables.events, self._tables.parked_events
        # Copied where it lies: what makes it poison may be that its data cannot be written again.
        copied = select(
            literal(sink).label("sink"),
            *columns(events, Event),
            literal(error).label("error"),
            literal(now, dead_lettered.c.parked_at.type).label("parked_at"),
        ).where(events.c.sequence == event.sequence)
        names = [column.name for column in copied.selected_columns]
        self._connection.execute(
            self._insert(dead_lettered)
            .from_select(names, copied)
            .on_conflict_do_nothing(index_elements=["sink", "sequence"])
        )

    def dead_letters(self, *, limit: int) -> Sequence[tuple[str, Event, str]]:
        dead_lettered = self._tables.parked_events
        statement = select(*columns(dead_lettered, Event), dead_lettered.c.sink, dead_lettered.c.error)
        found = []
        for row in self._connection.execute(
            statement.order_by(dead_lettered.c.sequence, dead_lettered.c.sink).limit(limit)
        ):
            fields = dict(row._mapping)
            sink, error = fields.pop("sink"), fields.pop("error")
            found.append((sink, Event(**fields), error))
        return found

    def state(self) -> OutboxState:
        events, sinks, dead_lettered = self._tables.events, self._tables.sinks, self._tables.parked_events
        waiting = (
            select(sinks.c.name, sinks.c.leased_until, func.count(events.c.sequence), func.min(events.c.at))
            .select_from(sinks.outerjoin(events, events.c.sequence > sinks.c.sequence))
            .group_by(sinks.c.name, sinks.c.leased_until)
            .order_by(sinks.c.name)
        )
        refused = select(dead_lettered.c.sink, func.count().label("dead_lettered")).group_by(
            dead_lettered.c.sink
        )
        aside = {row.sink: row.dead_lettered for row in self._connection.execute(refused)}
        kept = self._connection.execute(select(func.count()).select_from(events)).scalar_one()
        return OutboxState(
            events=kept,
            sinks=[
                SinkState(
                    name=name,
                    behind=behind,
                    oldest_waiting_at=oldest,
                    leased_until=leased_until,
                    dead_lettered=aside.get(name, 0),
                )
                for name, leased_until, behind, oldest in self._connection.execute(waiting)
            ],
        )

    def prune_events(self, *, before: datetime) -> int:
        events, sinks = self._tables.events, self._tables.sinks
        slowest = select(func.min(sinks.c.sequence)).scalar_subquery()
        had_by_all = or_(slowest.is_(None), events.c.sequence <= slowest)
        return self._count(delete(events).where(events.c.at < before, had_by_all))
