"""What is remembered of sessions is what was true when it was read began, or nothing (S18); keys: tests/contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Literal

import pytest

from czo_auth.core.errors import InvalidToken
from czo_auth.core.flows.issue import issue_session
from czo_auth.core.principal import Principal
from czo_auth.core.sessions.session import IssuedSession
from czo_auth.core.transaction import Standing, Transaction
from tests.core.flows.town import FROM_HERE, NOW, Town, open_town


@pytest.fixture
async def remembering(migrated_url: str) -> AsyncIterator[Town]:
    """A town that remembers what it proved on PostgreSQL too."""
    async with open_town(migrated_url, cache_seconds=60.0) as town:
        yield town


async def signed_in(town: Town) -> IssuedSession:
    user = await town.user("ada")

    def issue(tx: Transaction) -> IssuedSession:
        return issue_session(
            tx,
            user,
            actor_type="customer",
            amr=("pwd",),
            auth_time=NOW,
            factor_proved_at=None,
            remembered=True,
            policy=town.runtime.services.policies.sessions,
            provenance=FROM_HERE,
            now=NOW,
        )

    return await town.transactions.run(issue)


@pytest.mark.parametrize("by", ["session_token", "access_token"])
async def test_read_that_began_before_the_end_of_a_session_is_not_remembered(
    remembering: Town, monkeypatch: pytest.MonkeyPatch, by: Literal["session_token", "access_token"]
) -> None:
    town, services = remembering, remembering.runtime.services
    issued = await signed_in(town)
    access_token = services.access_tokens.sign(issued.session, restricted=False, now=NOW)
    was_read, may_go = asyncio.Event(), asyncio.Event()
    name = "find_session" if by == "session_token" else "find_session_by_id"
    find = getattr(services.lookup, name)

    async def find_and_linger(value: str) -> Standing | None:
        found: Standing | None = await find(value)
        was_read.set()
        await may_go.wait()
        return found

    async def prove() -> Principal:
        if by == "session_token":
            return await town.runtime.authenticate.session_token(issued.session_token, now=NOW)
        return await town.runtime.authenticate.access_token(access_token, now=NOW)

    monkeypatch.setattr(services.lookup, name, find_and_linger)
    proving = asyncio.create_task(prove())
    await was_read.wait()
    await town.transactions.run(lambda tx: tx.sessions.revoke(issued.session.id, reason="test", now=NOW))
    # PostgreSQL's notification takes a millisecond; SQLite needs none.
    await asyncio.sleep(0.1)
    may_go.set()
    await proving
    with pytest.raises(InvalidToken):
        await prove()


async def test_token_of_the_future_is_refused_however_often_it_was_verified(town: Town) -> None:
    """A clock that is set back (S33) must not find it in the memory of verified signatures."""
    issued, later = await signed_in(town), NOW + timedelta(hours=1)
    token = town.runtime.services.access_tokens.sign(issued.session, restricted=False, now=later)
    await town.runtime.authenticate.access_token(token, now=later)
    with pytest.raises(InvalidToken):
        await town.runtime.authenticate.access_token(token, now=NOW)
    await town.runtime.authenticate.access_token(token, now=later)
