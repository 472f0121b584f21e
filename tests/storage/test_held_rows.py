"""Work on the rows of many owners never waits for a locked row on PostgreSQL, so it cannot be part of a deadlock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from czo_auth.core.api_keys.usage import KeyUsage
from czo_auth.core.budgets import Budget
from czo_auth.core.throttle import SOURCE_GUESSES
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.store import MailToken
from czo_auth.storage.postgresql import PostgresStorage
from tests.support.records import HOUR, NOW, a_digest, an_id
from tests.support.rows import Rows

LATER = NOW + timedelta(days=400)


@pytest.fixture
async def rows(migrated_postgres_url: str) -> AsyncIterator[Rows]:
    """Put rows into PostgreSQL, where a statement waits a second and a half."""
    storage = PostgresStorage(migrated_postgres_url, table_prefix="czo_auth_", timeout=1.5)
    await storage.start()
    yield Rows(storage)
    await storage.close()


@asynccontextmanager
async def holding(rows: Rows, table: str, column: str, value: str) -> AsyncIterator[None]:
    """Hold one row from another connection."""
    other: Any = await asyncpg.connect(rows.storage.url)
    try:
        async with other.transaction():
            statement = f"SELECT 1 FROM czo_auth_{table} WHERE {column} = $1 FOR UPDATE"
            assert await other.fetchval(statement, value) == 1
            yield
    finally:
        await other.close()


# --- what nobody can use any more ------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Pruned:
    """
    Attributes:
        make: Keeps a row that is due, and gives what names it.
        prune: Deletes what is due, and counts it.
        column: By which its name is found.
    """

    table: str
    make: Callable[[Rows], Awaitable[str]]
    prune: Callable[[Transaction], int]
    column: str = "id"


async def _session(rows: Rows) -> str:
    return (await rows.session(await rows.user())).id


async def _challenge(rows: Rows) -> str:
    return (await rows.challenge(await rows.user())).id


async def _enrollment(rows: Rows) -> str:
    return (await rows.enrollment(await rows.user())).id


async def _key(rows: Rows) -> str:
    return (await rows.key(await rows.user(), expires_at=NOW)).id


async def _mail_token(rows: Rows) -> str:
    user = await rows.user()
    token = MailToken(
        id=an_id(), user_id=user.id, purpose="verify_email", email=user.email, expires_at=NOW + HOUR
    )
    await rows.run(lambda tx: tx.users.add_mail_token(token, digest=a_digest(), now=NOW))
    return token.id


async def _budget(rows: Rows) -> str:
    name = f"a/{an_id()}"
    await rows.run(lambda tx: tx.budgets.spend(Budget(name=name, limit=1), now=NOW))
    return name


async def _guess(rows: Rows) -> str:
    key = a_digest()
    await rows.run(lambda tx: tx.password_guesses.count(key, schedule=SOURCE_GUESSES, now=NOW))
    return key


PRUNED = [
    Pruned(table="sessions", make=_session, prune=lambda tx: tx.sessions.prune_expired(before=LATER)),
    Pruned(table="challenges", make=_challenge, prune=lambda tx: tx.two_factor.prune_expired(before=LATER)),
    Pruned(table="enrolments", make=_enrollment, prune=lambda tx: tx.two_factor.prune_expired(before=LATER)),
    Pruned(
        table="api_keys",
        make=_key,
        prune=lambda tx: tx.api_keys.prune_expired(before=LATER, expired=LATER),
    ),
    Pruned(table="mail_tokens", make=_mail_token, prune=lambda tx: tx.users.prune_expired(before=LATER)),
    Pruned(
        table="budgets",
        make=_budget,
        prune=lambda tx: tx.budgets.prune_expired(before=LATER),
        column="name",
    ),
    Pruned(
        table="password_guesses",
        make=_guess,
        prune=lambda tx: tx.password_guesses.prune_forgotten(now=LATER),
        column="key",
    ),
    Pruned(
        table="password_guesses",
        make=_guess,
        prune=lambda tx: tx.password_guesses.keep_newest(0),
        column="key",
    ),
]


@pytest.mark.parametrize("kind", PRUNED, ids=lambda kind: kind.table)
async def test_row_that_is_held_is_deleted_the_next_time(rows: Rows, kind: Pruned) -> None:
    held, _ = await kind.make(rows), await kind.make(rows)
    async with holding(rows, kind.table, kind.column, held):
        assert await rows.run(kind.prune) == 1
    assert await rows.run(kind.prune) == 1
    assert await rows.run(kind.prune) == 0


async def test_address_of_a_key_that_is_held_is_forgotten_the_next_time(rows: Rows) -> None:
    user = await rows.user()
    held, _ = [await rows.key(user, last_used_ip="192.0.2.0/24") for _ in range(2)]
    async with holding(rows, "api_keys", "id", held.id):
        assert await rows.run(lambda tx: tx.key_uses.forget_addresses()) == 1
    assert await rows.run(lambda tx: tx.key_uses.forget_addresses()) == 1


# --- last uses -------------------------------------------------------------------------------------------------------
async def test_use_of_a_session_that_is_held_is_left_out(rows: Rows) -> None:
    user = await rows.user()
    held, other = await rows.session(user), await rows.session(user)
    seen = {held.id: NOW + HOUR, other.id: NOW + HOUR, an_id(): NOW}

    async def last_used() -> list[bool]:
        found = [await rows.run(lambda tx: tx.sessions.find(each.id)) for each in (held, other)]  # noqa: B023
        return [each is not None and each.last_used_at == NOW + HOUR for each in found]

    async with holding(rows, "sessions", "id", held.id):
        assert await rows.run(lambda tx: tx.sessions.touch(seen)) == {held.id}
    assert await last_used() == [False, True]
    assert await rows.run(lambda tx: tx.sessions.touch(seen)) == set()
    assert await last_used() == [True, True]


async def test_uses_of_a_key_that_is_held_are_left_out(rows: Rows) -> None:
    user, usage = await rows.user(), KeyUsage()
    held, other = await rows.key(user), await rows.key(user)
    for each in (held, other, replace(other, id=an_id())):
        usage.count_use(each.id, stored=None, address=None, now=NOW)
    gathered = usage.take()

    async def days() -> list[int]:
        found = await rows.run(lambda tx: tx.key_uses.days_of_user(user.id))
        return [sum(day.used for day in found.get(each.id, ())) for each in (held, other)]

    async with holding(rows, "api_keys", "id", held.id):
        assert await rows.run(lambda tx: tx.key_uses.add(gathered, keeps_addresses=True)) == {held.id}
    assert await days() == [0, 1]
    left = gathered.only({held.id})
    assert await rows.run(lambda tx: tx.key_uses.add(left, keeps_addresses=True)) == set()
    assert await days() == [1, 1]
