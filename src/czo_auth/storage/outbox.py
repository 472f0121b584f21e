"""The outbox, in SQL; `czo_auth.storage.audit_log` fills it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    and_,
    case,
    delete,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    tuple_,
    update,
)

from czo_auth.core.events.outbox import DeadLetter, Outbox, OutboxState, SinkState
from czo_auth.core.events.types import Event, EventFilter
from czo_auth.storage.store import Store, columns, unlocked_batch


class SqlOutbox(Store, Outbox):
    """The outbox of one transaction."""

    def events_after(
        self, sequence: int, *, limit: int, matching: EventFilter | None = None
    ) -> Sequence[Event]:
        events = self._tables.events
        statement = select(*columns(events, Event)).where(
            events.c.sequence > sequence, self._matches(matching)
        )
        return self._all(Event, statement.order_by(events.c.sequence).limit(limit))

    def events_before(
        self, sequence: int | None, *, limit: int, matching: EventFilter | None = None
    ) -> Sequence[Event]:
        events = self._tables.events
        below = events.c.sequence < sequence if sequence is not None else true()
        statement = select(*columns(events, Event)).where(below, self._matches(matching))
        return self._all(Event, statement.order_by(events.c.sequence.desc()).limit(limit))

    def _matches(self, matching: EventFilter | None) -> ColumnElement[bool]:
        events, wanted = self._tables.events, matching or EventFilter()
        found = [
            column == value
            for column, value in ((events.c.type, wanted.type), (events.c.user_id, wanted.user_id))
            if value is not None
        ]
        if wanted.since is not None:
            found.append(events.c.at >= wanted.since)
        return and_(true(), *found)

    def claim_sink(self, sink: str, *, owner: str, until: datetime, now: datetime) -> int | None:
        sinks = self._tables.sinks
        fresh = self._insert(sinks).values(name=sink, sequence=0, owner=owner, leased_until=until)
        claimed = fresh.on_conflict_do_update(
            index_elements=["name"],
            set_={"owner": fresh.excluded.owner, "leased_until": fresh.excluded.leased_until},
            where=or_(sinks.c.owner.is_(None), sinks.c.owner == owner, sinks.c.leased_until <= now),
        ).returning(sinks.c.sequence)
        return self._connection.execute(claimed).scalar_one_or_none()

    def join_sinks(self, names: Sequence[str], *, place: str) -> None:
        sinks = self._tables.sinks
        joined = sinks.alias("joined")
        begin = func.coalesce(select(joined.c.sequence).where(joined.c.name == place).scalar_subquery(), 0)
        for name in names:
            fresh = self._insert(sinks).values(name=name, sequence=begin)
            self._connection.execute(fresh.on_conflict_do_nothing(index_elements=["name"]))

    def advance_sink(self, sink: str, *, owner: str, sequence: int, joins: str | None = None) -> bool:
        sinks = self._tables.sinks
        furthest = case((sinks.c.sequence < sequence, sequence), else_=sinks.c.sequence)
        statement = update(sinks).where(sinks.c.name == sink, sinks.c.owner == owner)
        if self._count(statement.values(sequence=furthest)) != 1:
            return False
        if joins is not None:
            along = self._insert(sinks).values(name=joins, sequence=sequence)
            self._connection.execute(
                along.on_conflict_do_update(index_elements=["name"], set_={"sequence": furthest})
            )
        return True

    def release_sink(self, sink: str, *, owner: str) -> None:
        sinks = self._tables.sinks
        statement = update(sinks).where(sinks.c.name == sink, sinks.c.owner == owner)
        self._connection.execute(statement.values(owner=None, leased_until=None))

    def dead_letter(self, sink: str, event: Event, *, error: str, now: datetime) -> None:
        events, dead_lettered = self._tables.events, self._tables.parked_events
        # Copied inside the database, because its data may be what makes it fail.
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

    def dead_letters(
        self, *, limit: int, sink: str | None = None, after: tuple[int, str] = (0, "")
    ) -> Sequence[DeadLetter]:
        letters = self._tables.parked_events
        place = tuple_(literal(after[0], BigInteger), literal(after[1], Text))
        beyond = tuple_(letters.c.sequence, letters.c.sink) > place
        of_sink = letters.c.sink == sink if sink is not None else true()
        statement = select(letters).where(beyond, of_sink).order_by(letters.c.sequence, letters.c.sink)
        return [
            DeadLetter(
                sink=row.sink,
                event=Event(**{field.name: getattr(row, field.name) for field in fields(Event)}),
                error=row.error,
                dead_lettered_at=row.parked_at,
                replay_at=row.replay_at,
            )
            for row in self._connection.execute(statement.limit(limit))
        ]

    def replay(self, *, sink: str | None, event_id: str | None, now: datetime) -> int:
        letters = self._tables.parked_events
        wanted: list[ColumnElement[bool]] = [letters.c.replay_at.is_(None)]
        if sink is not None:
            wanted.append(letters.c.sink == sink)
        if event_id is not None:
            wanted.append(letters.c.id == event_id)
        return self._count(update(letters).where(*wanted).values(replay_at=now))

    def replays(self, sink: str, *, limit: int) -> Sequence[Event]:
        letters = self._tables.parked_events
        statement = select(*columns(letters, Event)).where(
            letters.c.sink == sink, letters.c.replay_at.is_not(None)
        )
        return self._all(Event, statement.order_by(letters.c.sequence).limit(limit))

    def end_replay(self, sink: str, sequence: int, *, error: str | None) -> None:
        letters = self._tables.parked_events
        this = and_(letters.c.sink == sink, letters.c.sequence == sequence)
        if error is None:
            self._connection.execute(delete(letters).where(this))
        else:
            self._connection.execute(update(letters).where(this).values(replay_at=None, error=error))

    def prune_dead_letters(self, *, before: datetime) -> int:
        letters = self._tables.parked_events
        due = unlocked_batch(select(letters.c.sink, letters.c.sequence).where(letters.c.parked_at < before))
        return self._count(delete(letters).where(tuple_(letters.c.sink, letters.c.sequence).in_(due)))

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

    def retire_sink(self, name: str, *, now: datetime) -> bool:
        sinks = self._tables.sinks
        is_served = and_(sinks.c.owner.is_not(None), sinks.c.leased_until > now)
        return self._count(delete(sinks).where(sinks.c.name == name, not_(is_served))) == 1

    def prune_events(self, *, before: datetime, abandoned: datetime | None = None) -> int:
        events, sinks = self._tables.events, self._tables.sinks
        slowest = select(func.min(sinks.c.sequence)).scalar_subquery()
        over = or_(slowest.is_(None), events.c.sequence <= slowest)
        if abandoned is not None:
            over = or_(over, events.c.at < abandoned)
        # By time, whose index ends the search: where nothing is due, the whole outbox would be looked through.
        due = select(events.c.sequence).where(events.c.at < before, over).order_by(events.c.at)
        return self._count(delete(events).where(events.c.sequence.in_(unlocked_batch(due))))
