"""What ends a key ends it at the very next request, in every process, whatever was remembered (S17, S18)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from czo_auth.core.context import Context
from czo_auth.core.errors import InvalidToken
from czo_auth.core.flows.api_keys.new_key import NewApiKey
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import CredentialRecord
from tests.contract.acting import (
    administrator,
    change_actor_types,
    clients,
    create_key,
    create_organization,
    eventually,
    is_accepted,
    join,
)
from tests.contract.api import Api, new_client
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.database import sql
from tests.contract.databases import PostgresDatabases
from tests.contract.deployments import Deployment, Timed
from tests.contract.people import Account, People, Session
from tests.support.server import RunningServer
from tests.support.settings import KEY

CACHE_SECONDS = 1.0


@dataclass
class Scenario:
    """A key in an organization, its owner, and those who can do something about it."""

    api: Api
    key: dict[str, Any]
    account: Account
    session: Session
    founder: Session
    admin: Session
    organization: str

    @property
    def at(self) -> str:
        return f"/api-keys/{self.key['id']}"

    @property
    def member(self) -> str:
        return f"/organizations/{self.organization}/members/{self.account.id}"

    @property
    def user(self) -> str:
        return f"/admin/users/{self.account.id}"


async def scenario(here: Deployment, admin: Session) -> Scenario:
    _, founder = await here.people.newcomer()
    account, session = await here.people.newcomer("merchant")
    organization = await create_organization(here.api, founder)
    await join(here.api, founder, organization, (account, session))
    key = await create_key(here.api, session, organizationId=organization)
    return Scenario(here.api, key, account, session, founder, admin, organization)


async def revoke(on: Scenario) -> None:
    accepted(await on.api.delete(on.at, bearer=on.session.token), 204)


async def disable(on: Scenario) -> None:
    accepted(await on.api.patch(on.at, {"enabled": False}, bearer=on.session.token))


async def rotate(on: Scenario) -> None:
    accepted(await on.api.post(f"{on.at}/rotate", {}, bearer=on.session.token), 201)


async def ban(on: Scenario) -> None:
    accepted(await on.api.post(f"{on.user}/ban", {"reason": "test"}, bearer=on.admin.token))


async def remove(on: Scenario) -> None:
    accepted(await on.api.delete(on.member, {"confirm": True}, bearer=on.founder.token), 204)


async def leave(on: Scenario) -> None:
    accepted(await on.api.delete(on.member, {"confirm": True}, bearer=on.session.token), 204)


async def delete_organization(on: Scenario) -> None:
    path = f"/organizations/{on.organization}"
    accepted(await on.api.delete(path, bearer=on.founder.token), 204)


async def revoke_as_administrator(on: Scenario) -> None:
    accepted(await on.api.delete(f"/admin{on.at}", bearer=on.admin.token), 204)


async def promote(on: Scenario) -> None:
    accepted(await on.api.post(f"{on.user}/actor-types", {"add": ["admin"]}, bearer=on.admin.token))


ENDINGS = [
    *(revoke, disable, rotate, ban, remove, leave, delete_organization, revoke_as_administrator, promote)
]
IN_EACH_TABLE = [revoke, disable, ban, remove, promote]
"""Those that differ in how a database reports them; the others change the same tables."""
by_ending = pytest.mark.parametrize(
    "end",
    [
        pytest.param(end, id=end.__name__, marks=[pytest.mark.each_database] if end in IN_EACH_TABLE else [])
        for end in ENDINGS
    ],
)
End = Callable[[Scenario], Awaitable[None]]


def status_after(end: End) -> int:
    return 403 if end is promote else 401


@by_ending
async def test_every_process_refuses_the_key_at_the_next_request(live: Live, end: End) -> None:
    _, admin = await administrator(live)
    on = await scenario(live, admin)
    async with clients(live.served.server) as every:
        for _ in range(2):
            for api in every:
                assert (await api.get("/whoami", bearer=on.key["key"])).status_code == 200
        await end(on)
        statuses = [(await api.get("/whoami", bearer=on.key["key"])).status_code for api in every]
        assert statuses == [status_after(end)] * len(every)


@pytest.mark.each_database
async def test_unbanned_owner_gets_no_key_back_and_may_make_new_ones(live: Live) -> None:
    _, admin = await administrator(live)
    on = await scenario(live, admin)
    await ban(on)
    accepted(await live.api.post(f"{on.user}/unban", {}, bearer=admin.token))
    assert not await is_accepted(live.api, on.key["key"])
    session = await live.people.sign_in(on.account)
    again = await live.api.patch(on.at, {"enabled": True}, bearer=session.token)
    refused(again, 404, "NOT_FOUND")
    assert await is_accepted(live.api, (await create_key(live.api, session))["key"])
    assert not await is_accepted(live.api, on.key["key"])


@pytest.mark.each_database
async def test_owner_that_lost_a_mandatory_factor_loses_the_keys_until_there_is_one(timed: Timed) -> None:
    session = await timed.people.sign_in(timed.ada, "admin")
    key = (await create_key(timed.api, session))["key"]
    assert await is_accepted(timed.api, key)
    other = await timed.people.enroll(*await timed.admin())
    reset = f"/admin/users/{timed.ada.id}/two-factor"
    accepted(await timed.api.delete(reset, {"reason": "lost"}, bearer=other.token), 204)
    refused(await timed.api.get("/whoami", bearer=key), 403, "TWO_FACTOR_SETUP_REQUIRED")
    timed.ada.phone = None
    await timed.people.enroll(timed.ada, await timed.people.sign_in(timed.ada, "admin"))
    assert await is_accepted(timed.api, key)


# --- a creation that began before ------------------------------------------------------------------------------------
@pytest.mark.each_database
async def test_creation_that_began_before_makes_no_key_that_outlives_the_end(timed: Timed) -> None:
    async def proved(actor: str = "merchant") -> tuple[Account, Session, Principal]:
        account, session = await timed.people.newcomer(actor)
        return (
            account,
            session,
            await timed.auth.authenticate.session_token(session.token, now=timed.time.now),
        )

    async def create(principal: Principal) -> None:
        await timed.auth.create_api_keys.create(
            NewApiKey(name="late"), context=Context(now=timed.time.now).of(principal)
        )

    banned, _, principal = await proved()
    await timed.auth.administration.ban(banned.id, reason="test", context=Context(now=timed.time.now))
    with pytest.raises(InvalidToken):
        await create(principal)
    _, signed_out, principal = await proved()
    accepted(await timed.api.post("/sign-out", {}, bearer=signed_out.token))
    with pytest.raises(InvalidToken):
        await create(principal)
    demoted, _, principal = await proved()
    await change_actor_types(timed, demoted, remove=["merchant"])
    with pytest.raises(InvalidToken):
        await create(principal)
    assert await sql(timed.auth.settings.storage_url, "SELECT id FROM {}api_keys WHERE name = 'late'") == []
    await create((await proved())[2])


# --- memory ----------------------------------------------------------------------------------------------------------
class Watched:
    """The lookups of a deployment, counted; the next one may be held after its row was read."""

    def __init__(self, timed: Timed, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.was_read, self.may_go = asyncio.Event(), asyncio.Event()
        self.holds = False
        self._find = timed.auth.storage.lookup.find_api_key
        monkeypatch.setattr(timed.auth.storage.lookup, "find_api_key", self.find)

    async def find(self, digest: str) -> CredentialRecord | None:
        self.count += 1
        record = await self._find(digest)
        if self.holds:
            self.holds = False
            self.was_read.set()
            await self.may_go.wait()
        return record


@pytest.fixture
def remembering(deploy: Deploy) -> Callable[[], Awaitable[Timed]]:
    """Make a deployment that remembers what it proved, on each kind of database."""

    async def make() -> Timed:
        return await deploy(cache_seconds=60.0)

    return make


@pytest.mark.each_database
async def test_proved_key_is_remembered_until_something_changes(
    remembering: Callable[[], Awaitable[Timed]], monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = await remembering()
    account, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    watched = Watched(timed, monkeypatch)
    for _ in range(5):
        assert await is_accepted(timed.api, key["key"])
    assert watched.count == 1
    # Unknown keys are asked for each time, and push nothing out.
    for _ in range(5):
        assert not await is_accepted(timed.api, "czo_" + "A" * 43)
    assert watched.count == 6
    assert await is_accepted(timed.api, key["key"])
    assert watched.count == 6
    # Past the product, and to another row than the key's own.
    await sql(timed.auth.settings.storage_url, "UPDATE {}users SET banned_at = 1 WHERE id = $1", account.id)
    await heard(timed)
    assert not await is_accepted(timed.api, key["key"])
    assert watched.count == 7


async def heard(timed: Timed) -> None:
    """Let a notification of PostgreSQL arrive, which takes a millisecond; SQLite needs none."""
    if timed.auth.storage.dialect == "postgresql":
        await asyncio.sleep(0.2)


@pytest.mark.each_database
async def test_expiry_is_looked_at_however_fresh_the_memory_is(
    remembering: Callable[[], Awaitable[Timed]], monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = await remembering()
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, expiresIn=2)
    watched = Watched(timed, monkeypatch)
    for _ in range(2):
        assert await is_accepted(timed.api, key["key"])
    timed.time.advance(seconds=1.999)
    assert await is_accepted(timed.api, key["key"])
    assert watched.count == 1
    timed.time.advance(seconds=0.001)
    assert not await is_accepted(timed.api, key["key"])


@pytest.mark.each_database
@pytest.mark.parametrize("end", IN_EACH_TABLE, ids=[end.__name__ for end in IN_EACH_TABLE])
async def test_fill_that_began_before_the_end_does_not_bring_the_key_back(
    remembering: Callable[[], Awaitable[Timed]], monkeypatch: pytest.MonkeyPatch, end: End
) -> None:
    timed = await remembering()
    on = await scenario(timed, await timed.people.sign_in(timed.ada, "admin"))
    watched = Watched(timed, monkeypatch)
    watched.holds = True
    filling = asyncio.create_task(timed.api.get("/whoami", bearer=on.key["key"]))
    await watched.was_read.wait()
    await end(on)
    await heard(timed)
    watched.may_go.set()
    await filling
    for _ in range(2):
        answer = await timed.api.get("/whoami", bearer=on.key["key"])
        assert answer.status_code == status_after(end)


@pytest.mark.each_database
async def test_memory_can_be_switched_off(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = await deploy(remembered_credentials=0, cache_seconds=60.0)
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    watched = Watched(timed, monkeypatch)
    for _ in range(3):
        assert await is_accepted(timed.api, key["key"])
    assert watched.count == 3


# --- PostgreSQL: the bound behind notifications ----------------------------------------------------------------------
@dataclass
class Cached:
    """A real server that remembers, with two workers, on PostgreSQL."""

    server: RunningServer
    url: str
    api: Api
    key: dict[str, Any]
    session: Session

    async def revoke_past_the_product(self) -> None:
        await sql(self.url, "UPDATE {}api_keys SET revoked_at = 1 WHERE id = $1", self.key["id"])

    async def restore(self) -> None:
        await sql(self.url, "UPDATE {}api_keys SET revoked_at = NULL WHERE id = $1", self.key["id"])

    async def listeners(self) -> int:
        rows = await sql(
            self.url,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            " OR (datname = current_database() AND query = 'SELECT 1')",
        )
        count: int = rows[0][0]
        return count

    async def cut_listeners(self) -> int:
        rows = await sql(
            self.url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND (query LIKE 'LISTEN%' OR query = 'SELECT 1')",
        )
        return len(rows)


@asynccontextmanager
async def _cached(databases: PostgresDatabases, directory: Path) -> AsyncIterator[Cached]:
    url = databases.new()
    server = RunningServer(
        directory,
        database_url=url,
        workers=2,
        env={
            "AUTH_ENCRYPTION_KEY": KEY,
            "CZO_AUTH_RATE_LIMIT_ENABLED": "false",
            "CZO_AUTH_CACHE_SECONDS": str(CACHE_SECONDS),
        },
        weak_hashes=True,
    )
    server.start()
    try:
        async with new_client(server.url) as http:
            api = Api(http)
            people = People(api, clock=lambda: pytest.fail("no phone is needed"))
            _, session = await people.newcomer()
            yield Cached(server, url, api, await create_key(api, session), session)
    finally:
        server.stop()


async def test_revocation_is_heard_in_every_process_and_never_later_than_the_bound(
    postgres_databases: PostgresDatabases, tmp_path: Path
) -> None:
    async with (
        _cached(postgres_databases, tmp_path) as cached,
        clients(cached.server) as every,
    ):
        key = cached.key["key"]

        async def statuses() -> set[int]:
            return {(await api.get("/whoami", bearer=key)).status_code for api in every}

        async def is_over_after_the_bound() -> bool:
            await asyncio.sleep(CACHE_SECONDS)
            return await statuses() == {401}

        async def all_listen() -> bool:
            return await cached.listeners() >= 2

        assert await statuses() == {200}
        await cached.revoke_past_the_product()
        assert await is_over_after_the_bound()

        # The listening connections are cut, and nobody tells what happens in the meantime.
        await cached.restore()
        assert await statuses() == {200}
        await eventually(all_listen, within=60)
        assert await cached.cut_listeners() >= 1
        await cached.revoke_past_the_product()
        assert await is_over_after_the_bound()
        await eventually(all_listen, within=60)
        assert await statuses() == {401}

        # No notification at all: the bound alone ends it.
        await sql(cached.url, "DROP TRIGGER czo_auth_tell ON {}api_keys")
        await cached.restore()
        assert await statuses() == {200}
        await cached.revoke_past_the_product()
        assert await is_over_after_the_bound()
