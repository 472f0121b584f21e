"""What the administration pages count and list, on both databases."""

from __future__ import annotations

from czo_auth.core.context import system_context
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent, EventFilter
from czo_auth.core.transaction import Transaction
from tests.support.records import NOW
from tests.support.rows import Rows


async def test_factors_are_counted_by_actor_type_and_without_the_banned(rows: Rows) -> None:
    customer, admin = frozenset({"customer"}), frozenset({"admin", "customer"})
    await rows.factor(await rows.user(actor_types=admin))
    await rows.factor(await rows.user(actor_types=customer))
    await rows.factor(await rows.user(actor_types=admin, banned_at=NOW))
    await rows.user(actor_types=admin)
    await rows.user(actor_types=frozenset({"customer", "co_admin", "admin-of-shop", "badmin"}))
    assert await rows.run(lambda tx: tx.users.count_factors("admin")) == (2, 1)
    assert await rows.run(lambda tx: tx.users.count_factors("customer")) == (4, 2)
    assert await rows.run(lambda tx: tx.users.count_factors("co_admin")) == (1, 0)
    assert await rows.run(lambda tx: tx.users.count_factors("co-admin")) == (0, 0)
    assert await rows.run(lambda tx: tx.users.count_factors("%")) == (0, 0)


async def test_events_are_listed_from_the_end(rows: Rows) -> None:
    def step(tx: Transaction) -> None:
        for action in (types.API_KEY_CREATED, types.USER_BANNED, types.API_KEY_CREATED):
            tx.acting_as(system_context(NOW)).record(AuditEvent(action=action))

    await rows.run(step)

    async def listed(before: int | None, limit: int, event_type: str | None) -> list[int]:
        found = await rows.run(
            lambda tx: tx.outbox.events_before(before, limit=limit, matching=EventFilter(type=event_type))
        )
        return [event.sequence for event in found]

    assert await listed(None, 10, None) == [3, 2, 1]
    assert await listed(3, 1, None) == [2]
    assert await listed(None, 10, types.API_KEY_CREATED) == [3, 1]
