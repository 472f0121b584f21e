"""What the port of waiting resets promises, on both databases."""

from __future__ import annotations

from dataclasses import replace

from czo_auth.core.two_factor.reset import Reset
from czo_auth.core.users.user import User
from tests.support.records import HOUR, NOW, SECOND, a_digest, an_id
from tests.support.rows import Rows


def a_reset(user: User) -> Reset:
    return Reset(
        id=an_id(), user_id=user.id, asked_by=an_id(), reason="lost", asked_at=NOW, due_at=NOW + HOUR
    )


async def test_one_reset_waits_for_a_user_and_another_only_when_it_ended(rows: Rows) -> None:
    user = await rows.user()
    first, second = a_reset(user), a_reset(user)
    assert await rows.run(lambda tx: tx.resets.add(first, digest=a_digest()))
    assert not await rows.run(lambda tx: tx.resets.add(second, digest=a_digest()))
    assert await rows.run(lambda tx: tx.resets.find_waiting(user.id)) == first
    assert await rows.run(lambda tx: tx.resets.close(first.id, outcome="link_used", now=NOW))
    assert await rows.run(lambda tx: tx.resets.find_waiting(user.id)) is None
    assert await rows.run(lambda tx: tx.resets.add(second, digest=a_digest()))
    assert await rows.run(lambda tx: tx.resets.find_waiting(user.id)) == second


async def test_what_waits_is_listed_by_when_it_is_due(rows: Rows) -> None:
    later, soon = a_reset(await rows.user()), a_reset(await rows.user())
    soon = replace(soon, due_at=NOW + SECOND)
    for reset in (later, soon):
        assert await rows.run(lambda tx, reset=reset: tx.resets.add(reset, digest=a_digest()))
    assert await rows.run(lambda tx: tx.resets.list_waiting(limit=5)) == [soon, later]
    assert await rows.run(lambda tx: tx.resets.list_waiting(limit=1)) == [soon]
    assert await rows.run(lambda tx: tx.resets.count_waiting()) == 2
    assert await rows.run(lambda tx: tx.resets.due(now=NOW, limit=5)) == []
    assert await rows.run(lambda tx: tx.resets.due(now=NOW + SECOND, limit=5)) == [soon]
    assert await rows.run(lambda tx: tx.resets.due(now=NOW + HOUR, limit=5)) == [soon, later]


async def test_token_counts_until_the_reset_is_due_or_ended(rows: Rows) -> None:
    reset, digest = a_reset(await rows.user()), a_digest()
    await rows.run(lambda tx: tx.resets.add(reset, digest=digest))
    assert await rows.run(lambda tx: tx.resets.find_by_token(digest, now=NOW)) == reset
    assert await rows.run(lambda tx: tx.resets.find_by_token(a_digest(), now=NOW)) is None
    assert await rows.run(lambda tx: tx.resets.find_by_token(digest, now=reset.due_at)) is None
    await rows.run(lambda tx: tx.resets.close(reset.id, outcome="user_cancelled", now=NOW))
    assert await rows.run(lambda tx: tx.resets.find_by_token(digest, now=NOW)) is None


async def test_reset_ends_once_and_is_forgotten_once(rows: Rows) -> None:
    reset = a_reset(await rows.user())
    await rows.run(lambda tx: tx.resets.add(reset, digest=a_digest()))
    assert not await rows.run(lambda tx: tx.resets.forget(reset.id))
    assert await rows.run(lambda tx: tx.resets.close(reset.id, outcome="factor_proved", now=NOW))
    assert not await rows.run(lambda tx: tx.resets.close(reset.id, outcome="carried_out", now=NOW))
    assert await rows.run(lambda tx: tx.resets.closed(limit=5)) == [
        replace(reset, closed_at=NOW, outcome="factor_proved")
    ]
    assert await rows.run(lambda tx: tx.resets.due(now=NOW + HOUR, limit=5)) == []
    assert await rows.run(lambda tx: tx.resets.forget(reset.id))
    assert not await rows.run(lambda tx: tx.resets.forget(reset.id))
    assert await rows.run(lambda tx: tx.resets.closed(limit=5)) == []
