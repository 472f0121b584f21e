"""
Webhook deliveries shared by the processes that send them, in SQL.

An endpoint is leased to one process. A transaction that makes a delivery due writes ``due_at`` of its endpoint before
it writes the delivery, and one that releases an endpoint locks its row before it looks for what is due next, so that no
delivery is missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)

from czo_auth.core.events.types import Event
from czo_auth.core.ids import new_id
from czo_auth.core.webhooks.store import AttemptResult, WebhookDeliveries, WebhookWork
from czo_auth.core.webhooks.webhook import Delivery, DeliveryBatch, Webhook, WebhookSecret
from czo_auth.storage.store import Store, columns
from czo_auth.storage.tables import Tables

_CURSOR: Final = "outbox"
_LOOKED_THROUGH: Final = 25
"""Events that one transaction of a replay looks through, for each that it takes."""


def make_due(
    connection: Connection, webhooks: Table, webhook_ids: Sequence[str], *, now: datetime
) -> set[str]:
    """Make endpoints due at *now*, and hold their rows; answer those that are still there."""
    due_at = webhooks.c.due_at
    statement = (
        update(webhooks)
        .where(webhooks.c.id.in_(webhook_ids))
        .values(due_at=case((due_at < now, due_at), else_=literal(now, due_at.type)))
        .returning(webhooks.c.id)
    )
    return set(connection.execute(statement).scalars())


def sent_again(now: datetime) -> dict[str, Any]:
    """Return the values of a delivery that begins again."""
    return {
        "status": "pending",
        "attempts": 0,
        "response_status": None,
        "error": None,
        "next_at": now,
        "finished_at": None,
    }


class SqlWebhookDeliveries(Store, WebhookDeliveries):
    """Implements `czo_auth.core.webhooks.store.WebhookDeliveries`."""

    def work(self, *, now: datetime, dead_before: datetime) -> WebhookWork:
        webhooks, events, cursors = self._tables.webhooks, self._tables.events, self._tables.webhook_cursors
        enabled = exists().where(webhooks.c.enabled)
        place = select(cursors.c.sequence).where(cursors.c.name == _CURSOR).scalar_subquery()
        behind = exists().where(events.c.sequence > func.coalesce(place, 0))
        found = self._connection.execute(
            select(
                and_(enabled, behind).label("spread"),
                # No sequence is negative; SQLite would not look into the index for what is not null.
                exists().where(webhooks.c.replay_after >= 0).label("replay"),
                exists().where(self._is_due(now)).label("due"),
                exists().where(self._is_dead(dead_before)).label("dead"),
            )
        ).one()
        return WebhookWork(
            spread=bool(found.spread), replay=bool(found.replay), due=bool(found.due), dead=bool(found.dead)
        )

    # --- from the outbox to the endpoints ---

    def spread(self, *, limit: int, now: datetime) -> int:
        place = self._hold_cursor()
        if place is None:
            return 0
        start, events = place, self._events_after(place, None, limit=limit)
        if len(events) == limit:
            # Far behind, for example before the first endpoint was created: events that no endpoint wants are skipped
            # at once.
            start = max(place, self._earliest_start())
            events = events if start == place else self._events_after(start, None, limit=limit)
        if events:
            self._deliver_to(self._endpoints_for(events), events, now=now)
        cursors = self._tables.webhook_cursors
        reached = events[-1].sequence if events else start
        self._connection.execute(update(cursors).where(cursors.c.name == _CURSOR).values(sequence=reached))
        return len(events)

    def spread_replay(self, *, limit: int, now: datetime) -> int:
        webhooks = self._tables.webhooks
        waits = (
            select(*columns(webhooks, Webhook), webhooks.c.replay_after, webhooks.c.replay_until)
            .where(webhooks.c.replay_after.is_not(None))
            # The shortest one first, so that a long one does not delay the others.
            .order_by(webhooks.c.replay_after.desc(), webhooks.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        row = self._connection.execute(waits).one_or_none()
        if row is None:
            return 0
        fields = dict(row._mapping)
        after, until = fields.pop("replay_after"), fields.pop("replay_until")
        webhook = Webhook(**fields)
        # Few of all events belong to one organization: one transaction looks through only a part of them.
        upper = min(until, after + limit * _LOOKED_THROUGH)
        events = self._events_after(after, upper, limit=limit, organization_id=webhook.organization_id)
        wanted = [event for event in events if webhook.wants(event)]
        if wanted:
            make_due(self._connection, webhooks, [webhook.id], now=now)
            self._put(_rows(webhook.id, wanted, now=now), replaces=sent_again(now))
        reached = events[-1].sequence if len(events) == limit else upper
        ends = reached >= until
        self._connection.execute(
            update(webhooks)
            .where(webhooks.c.id == webhook.id)
            .values(
                replay_after=None if ends else reached,
                replay_until=None if ends else until,
            )
        )
        # A part without matching events counts as progress.
        return len(events) or 1

    def _hold_cursor(self) -> int | None:
        """Read the place in the outbox and hold it; None when another process does."""
        cursors = self._tables.webhook_cursors
        claim = select(cursors.c.sequence).where(cursors.c.name == _CURSOR).with_for_update(skip_locked=True)
        place: int | None = self._connection.execute(claim).scalar_one_or_none()
        if place is None and self._insert_unless(cursors, ["name"], {"name": _CURSOR, "sequence": 0}):
            return 0
        return place

    def _earliest_start(self) -> int:
        """Return the sequence up to which no endpoint wants any event."""
        webhooks = self._tables.webhooks
        earliest = select(func.min(webhooks.c.from_sequence)).where(webhooks.c.enabled)
        return self._connection.execute(earliest).scalar_one() or 0

    def _events_after(
        self, sequence: int, until: int | None, *, limit: int, organization_id: str | None = None
    ) -> list[Event]:
        events = self._tables.events
        statement = select(*columns(events, Event)).where(events.c.sequence > sequence)
        if organization_id is not None:
            statement = statement.where(events.c.data["organizationId"].as_string() == organization_id)
        if until is not None:
            statement = statement.where(events.c.sequence <= until)
        return self._all(Event, statement.order_by(events.c.sequence).limit(limit))

    def _endpoints_for(self, events: Sequence[Event]) -> list[tuple[Webhook, int]]:
        """Read the endpoints that may want some of *events*, each with the sequence that it begins behind."""
        webhooks = self._tables.webhooks
        named = {event.data.get("organizationId") for event in events}
        organizations = sorted(each for each in named if isinstance(each, str))
        statement = select(*columns(webhooks, Webhook), webhooks.c.from_sequence).where(
            webhooks.c.enabled,
            or_(webhooks.c.organization_id.is_(None), webhooks.c.organization_id.in_(organizations)),
        )
        found: list[tuple[Webhook, int]] = []
        for row in self._connection.execute(statement):
            fields = dict(row._mapping)
            begins_behind = fields.pop("from_sequence")
            found.append((Webhook(**fields), begins_behind))
        return found

    def _deliver_to(
        self, endpoints: Sequence[tuple[Webhook, int]], events: Sequence[Event], *, now: datetime
    ) -> None:
        wanted = {
            webhook.id: chosen
            for webhook, begins_behind in endpoints
            if (chosen := [each for each in events if each.sequence > begins_behind and webhook.wants(each)])
        }
        if not wanted:
            return
        there = make_due(self._connection, self._tables.webhooks, sorted(wanted), now=now)
        rows = [
            row
            for webhook_id, chosen in wanted.items()
            if webhook_id in there
            for row in _rows(webhook_id, chosen, now=now)
        ]
        self._put(sorted(rows, key=lambda row: row["sequence"]), replaces=None)

    def _put(self, rows: Sequence[dict[str, Any]], *, replaces: Mapping[str, Any] | None) -> None:
        if not rows:
            return
        deliveries = self._tables.webhook_deliveries
        conflict = ["webhook_id", "event_id"]
        statement = self._insert(deliveries)
        self._connection.execute(
            statement.on_conflict_do_nothing(index_elements=conflict)
            if replaces is None
            else statement.on_conflict_do_update(index_elements=conflict, set_=dict(replaces)),
            rows,
        )

    # --- from the endpoints to the receivers ---

    def claim_due(
        self, *, owner: str, now: datetime, until: datetime, failing: bool, limit: int
    ) -> Sequence[str]:
        webhooks = self._tables.webhooks
        of_kind = webhooks.c.failing_since.is_not(None) if failing else webhooks.c.failing_since.is_(None)
        waiting = (
            select(webhooks.c.id)
            .where(self._is_due(now), of_kind)
            .order_by(webhooks.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        found = list(self._connection.execute(waiting).scalars())
        if found:
            self._connection.execute(
                update(webhooks).where(webhooks.c.id.in_(found)).values(owner=owner, leased_until=until)
            )
        return found

    def next_deliveries(
        self, webhook_id: str, *, owner: str, now: datetime, limit: int
    ) -> DeliveryBatch | None:
        webhooks, deliveries = self._tables.webhooks, self._tables.webhook_deliveries
        webhook = self._one(
            Webhook,
            select(*columns(webhooks, Webhook)).where(
                webhooks.c.id == webhook_id, webhooks.c.owner == owner, webhooks.c.enabled
            ),
        )
        if webhook is None:
            return None
        due = (
            select(*columns(deliveries, Delivery))
            .where(self._is_next(webhook_id), deliveries.c.next_at <= now)
            .order_by(deliveries.c.sequence)
            .limit(limit)
        )
        found = self._all(Delivery, due)
        if not found:
            return None
        events = self._events_of(found)
        return DeliveryBatch(
            webhook=webhook,
            secrets=self._all(WebhookSecret, select_secrets(self._tables, webhook_id, now=now)),
            deliveries=[(delivery, events.get(delivery.event_id)) for delivery in found],
        )

    def finish_attempts(
        self, webhook_id: str, results: Sequence[AttemptResult], *, owner: str, now: datetime
    ) -> None:
        webhooks, deliveries = self._tables.webhooks, self._tables.webhook_deliveries
        holder = select(webhooks.c.owner).where(webhooks.c.id == webhook_id).with_for_update()
        row = self._connection.execute(holder).one_or_none()
        if row is None:
            return
        counted = [each for each in results if row.owner == owner or each.status == "delivered"]
        for result in counted:
            self._connection.execute(
                update(deliveries)
                .where(deliveries.c.id == result.delivery_id, deliveries.c.status == "pending")
                .values(
                    status=result.status,
                    attempts=deliveries.c.attempts + 1,
                    response_status=result.response_status,
                    error=result.error,
                    next_at=result.next_at,
                    finished_at=None if result.status == "pending" else now,
                )
            )
        if health := _health(webhooks, counted, now=now):
            self._connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(**health))

    def release(self, webhook_id: str, *, owner: str) -> None:
        webhooks, deliveries = self._tables.webhooks, self._tables.webhook_deliveries
        holder = select(webhooks.c.owner).where(webhooks.c.id == webhook_id).with_for_update()
        if self._connection.execute(holder).scalar_one_or_none() != owner:
            return
        next_at = self._connection.execute(
            select(func.min(deliveries.c.next_at)).where(self._is_next(webhook_id))
        ).scalar_one()
        self._connection.execute(
            update(webhooks)
            .where(webhooks.c.id == webhook_id)
            .values(owner=None, leased_until=None, due_at=next_at)
        )

    def switch_off_dead(self, *, dead_before: datetime, now: datetime) -> Sequence[Webhook]:
        webhooks = self._tables.webhooks
        return self._all(
            Webhook,
            update(webhooks)
            .where(self._is_dead(dead_before))
            .values(enabled=False, disabled_reason="dead", updated_at=now)
            .returning(*columns(webhooks, Webhook)),
        )

    # --- how ---

    def _is_due(self, now: datetime) -> ColumnElement[bool]:
        webhooks = self._tables.webhooks
        free = or_(webhooks.c.owner.is_(None), webhooks.c.leased_until <= now)
        return and_(webhooks.c.enabled, webhooks.c.due_at <= now, free)

    def _is_dead(self, dead_before: datetime) -> ColumnElement[bool]:
        webhooks = self._tables.webhooks
        return and_(webhooks.c.enabled, webhooks.c.dead_since <= dead_before)

    def _is_next(self, webhook_id: str) -> ColumnElement[bool]:
        """Whether a delivery is pending, and no earlier one of the same user is."""
        deliveries = self._tables.webhook_deliveries
        before = deliveries.alias("before")
        held_back = (
            exists()
            .where(
                before.c.webhook_id == webhook_id,
                before.c.user_id == deliveries.c.user_id,
                before.c.sequence < deliveries.c.sequence,
                before.c.status == "pending",
            )
            .correlate(deliveries)
        )
        return and_(deliveries.c.webhook_id == webhook_id, deliveries.c.status == "pending", ~held_back)

    def _events_of(self, found: Sequence[Delivery]) -> dict[str, Event]:
        events = self._tables.events
        wanted = [delivery.event_id for delivery in found if delivery.sequence]
        statement = select(*columns(events, Event)).where(events.c.id.in_(wanted))
        return {event.id: event for event in self._all(Event, statement)}


def select_secrets(tables: Tables, webhook_id: str, *, now: datetime) -> Select[Any]:
    """Select the secrets that sign for an endpoint, the current one first."""
    secrets = tables.webhook_secrets
    statement = select(*columns(secrets, WebhookSecret)).where(
        secrets.c.webhook_id == webhook_id,
        or_(secrets.c.expires_at.is_(None), secrets.c.expires_at > now),
    )
    current_first = case((secrets.c.expires_at.is_(None), 0), else_=1)
    return statement.order_by(current_first, secrets.c.id.desc())


def _rows(webhook_id: str, events: Sequence[Event], *, now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "id": new_id(now),
            "webhook_id": webhook_id,
            "event_id": event.id,
            "sequence": event.sequence,
            "type": event.type,
            "user_id": event.user_id,
            "status": "pending",
            "attempts": 0,
            "next_at": now,
            "created_at": now,
        }
        for event in events
    ]


def _health(webhooks: Table, results: Sequence[AttemptResult], *, now: datetime) -> dict[str, Any]:
    """Return what the endpoint's row says after *results*: one success makes it well again."""
    if not results:
        return {}
    if any(result.status == "delivered" for result in results):
        return {"failing_since": None, "dead_since": None}
    since = literal(now, webhooks.c.failing_since.type)
    health: dict[str, Any] = {"failing_since": func.coalesce(webhooks.c.failing_since, since)}
    if any(result.status == "dead" for result in results):
        health["dead_since"] = func.coalesce(webhooks.c.dead_since, since)
    return health
