"""What the port of waiting resets promises, on both databases."""

from __future__ import annotations

from dataclasses import replace

from czo_auth.core.two_factor.reset import Reset
from czo_auth.core.users.user import User
from tests.storage.rows import HOUR, NOW, SECOND, Things, a_digest, an_id


def a_reset(user: User) -> Reset:
    return Reset(
        id=an_id(), user_id=user.id, asked_by=an_id(), reason="lost", asked_at=NOW, due_at=NOW + HOUR
    )


async def test_one_reset_waits_for_a_user_and_another_only_when_it_ended(things: Things) -> None:
    user = await things.user()
    first, second = a_reset(user), a_reset(user)
    assert await things.run(lambda tx: tx.resets.add(first, digest=a_digest()))
    assert not await things.run(lambda tx: tx.resets.add(second, digest=a_digest()))
    assert await things.run(lambda tx: tx.resets.find_waiting(user.id)) == first
    assert await things.run(lambda tx: tx.resets.close(first.id, outcome="link_used", now=NOW))
    assert await things.run(lambda tx: tx.resets.find_waiting(user.id)) is None
    assert await things.run(lambda tx: tx.resets.add(second, digest=a_digest()))
    assert await things.run(lambda tx: tx.resets.find_waiting(user.id)) == second


async def test_what_waits_is_listed_by_when_it_is_due(things: Things) -> None:
    later, soon = a_reset(await things.user()), a_reset(await things.user())
    soon = replace(soon, due_at=NOW + SECOND)
    for reset in (later, soon):
        assert await things.run(lambda tx, reset=reset: tx.resets.add(reset, digest=a_digest()))
    assert await things.run(lambda tx: tx.resets.list_waiting(limit=5)) == [soon, later]
    assert await things.run(lambda tx: tx.resets.list_waiting(limit=1)) == [soon]
    assert await things.run(lambda tx: tx.resets.count_waiting()) == 2
    assert await things.run(lambda tx: tx.resets.due(now=NOW, limit=5)) == []
    assert await things.run(lambda tx: tx.resets.due(now=NOW + SECOND, limit=5)) == [soon]
    assert await things.run(lambda tx: tx.resets.due(now=NOW + HOUR, limit=5)) == [soon, later]


async def test_token_counts_until_the_reset_is_due_or_ended(things: Things) -> None:
    reset, digest = a_reset(await things.user()), a_digest()
    await things.run(lambda tx: tx.resets.add(reset, digest=digest))
    assert await things.run(lambda tx: tx.resets.find_by_token(digest, now=NOW)) == reset
    assert await things.run(lambda tx: tx.resets.find_by_token(a_digest(), now=NOW)) is None
    assert await things.run(lambda tx: tx.resets.find_by_token(digest, now=reset.due_at)) is None
    await things.run(lambda tx: tx.resets.close(reset.id, outcome="user_cancelled", now=NOW))
    assert await things.run(lambda tx: tx.resets.find_by_token(digest, now=NOW)) is None


async def test_reset_ends_once_and_is_forgotten_once(things: Things) -> None:
    reset = a_reset(await things.user())
    await things.run(lambda tx: tx.resets.add(reset, digest=a_digest()))
    assert not await things.run(lambda tx: tx.resets.forget(reset.id))
    assert await things.run(lambda tx: tx.resets.close(reset.id, outcome="factor_proved", now=NOW))
    assert not await things.run(lambda tx: tx.resets.close(reset.id, outcome="carried_out", now=NOW))
    assert await things.run(lambda tx: tx.resets.closed(limit=5)) == [
        replace(reset, closed_at=NOW, outcome="factor_proved")
    ]
    assert await things.run(lambda tx: tx.resets.due(now=NOW + HOUR, limit=5)) == []
    assert await things.run(lambda tx: tx.resets.forget(reset.id))
    assert not await things.run(lambda tx: tx.resets.forget(reset.id))
    assert await things.run(lambda tx: tx.resets.closed(limit=5)) == []
