"""What happens when the database, a row, the clock or the process fails (S13, S30, S31, S33)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import httpx
import psutil
import pytest

from czo_auth.server import READY_SECONDS
from tests.conftest import StartServer
from tests.contract.acting import create_key, eventually, is_accepted, listed_keys, principal_of
from tests.contract.api import Answer, Api, new_client
from tests.contract.checks import accepted, refused
from tests.contract.conftest import DRIFT
from tests.contract.database import is_sqlite, spoil, sql, sqlite_file, stored_secret
from tests.contract.databases import Databases, SqliteDatabases
from tests.contract.deployments import Prepared, Timed, prepare
from tests.contract.outages import ENV, Scenario, all_of, all_unavailable, scenario
from tests.contract.people import People
from tests.support.postgres import PostgresServer
from tests.support.processes import needs_file_limits
from tests.support.server import RunningServer

pytestmark = pytest.mark.each_database


# --- a database that does not answer ---------------------------------------------------------------------------------


@contextmanager
def locked(url: str, server: RunningServer) -> Iterator[None]:
    """Let another process hold the database, longer than anybody waits."""
    with closing(sqlite3.connect(sqlite_file(url), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def full(url: str, server: RunningServer) -> Iterator[None]:
    """Let no file of the server's grow: the same refusals as from a full disk."""
    before = [(process, process.rlimit(psutil.RLIMIT_FSIZE)) for process in server.processes]
    for process, (_, hard) in before:
        process.rlimit(psutil.RLIMIT_FSIZE, (4096, hard))
    yield
    for process, limits in before:
        process.rlimit(psutil.RLIMIT_FSIZE, limits)


@pytest.mark.deep
@pytest.mark.parametrize(
    "fault", [pytest.param(locked, id="locked"), pytest.param(full, id="full", marks=needs_file_limits)]
)
async def test_read_only_sqlite_refuses_writes_and_still_reads(
    sqlite_databases: SqliteDatabases, start_server: StartServer, fault: Any
) -> None:
    url = sqlite_databases.new()
    server = start_server(database_url=url, env=ENV)
    async with new_client(server.url) as http:
        on = await scenario(Api(http), sqlite_databases.prepared)
        with fault(url, server):
            writing = asyncio.create_task(all_of(on.writes()))
            await asyncio.sleep(0.3)
            for answer in (await all_of(on.reads())).values():
                assert answer.status_code == 200
            all_unavailable(await writing)
        await on.nothing_was_consumed()
    assert "Traceback" not in server.output()


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that these tests may freeze, without disturbing the others."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def own_prepared(own_postgres: PostgresServer) -> Prepared:
    made: list[Prepared] = []
    own_postgres.template("faults", lambda url: made.append(asyncio.run(prepare(url))))
    return made[0]


@asynccontextmanager
async def on_own_postgres(
    own_postgres: PostgresServer, own_prepared: Prepared, start_server: StartServer
) -> AsyncIterator[tuple[RunningServer, Scenario]]:
    name = own_postgres.create_database(template="faults")
    server = start_server(database_url=own_postgres.url(name), env=ENV)
    async with new_client(server.url) as http:
        yield server, await scenario(Api(http), own_prepared)


@pytest.mark.deep
async def test_postgres_that_hangs_is_an_outage_and_never_a_verdict(
    own_postgres: PostgresServer, own_prepared: Prepared, start_server: StartServer
) -> None:
    async with on_own_postgres(own_postgres, own_prepared, start_server) as (server, on):
        # One answer about readiness serves everyone for a second.
        await asyncio.sleep(READY_SECONDS + 0.1)
        own_postgres.pause()
        try:
            answers, malformed, health, ready = await asyncio.gather(
                all_of({**on.writes(), **on.reads()}),
                on.api.get("/whoami", bearer=on.key["key"][:-1]),
                on.api.http.get("/healthz"),
                on.api.http.get("/readyz"),
            )
        finally:
            own_postgres.resume()
        all_unavailable(answers)
        # What needs no database is answered: a text that is not a key, and whether the process is up.
        refused(malformed, 401, "INVALID_API_KEY")
        assert health.status_code == 200
        assert (ready.status_code, ready.json()["checks"]["database"]) == (503, False)
        assert int(ready.headers["retry-after"]) >= 1

        async def is_back() -> bool:
            return (await on.api.get("/whoami", bearer=on.key["key"])).status_code == 200

        await eventually(is_back, within=60)
        await asyncio.sleep(READY_SECONDS + 0.1)
        assert (await on.api.http.get("/readyz")).status_code == 200
        await on.nothing_was_consumed()
        # Every connection breaks: nobody notices.
        own_postgres.restart()
        for answer in (await all_of(on.reads())).values():
            assert answer.status_code == 200
        await create_key(on.api, on.session)
    assert "Traceback" not in server.output()


# tests/faults/test_outages.py has the same with a role that may only read, which needs no server of its own.
@pytest.mark.deep
async def test_read_only_postgres_refuses_writes_and_still_reads(
    own_postgres: PostgresServer, own_prepared: Prepared, start_server: StartServer
) -> None:
    async with on_own_postgres(own_postgres, own_prepared, start_server) as (server, on):
        assert (await listed_keys(on.api, on.session))[0]["lastUsedAt"] is None
        _set(own_postgres, "default_transaction_read_only = on")
        try:
            for _ in range(2):
                for answer in (await all_of(on.reads())).values():
                    assert answer.status_code == 200
            all_unavailable(await all_of(on.writes()))
            # Longer than the last uses wait to be written: the attempt fails, and neither requests nor they suffer.
            await asyncio.sleep(5.5)
            for _ in range(5):
                assert await is_accepted(on.api, on.key["key"])
        finally:
            _set(own_postgres, "default_transaction_read_only = off")
        await on.nothing_was_consumed()

        async def last_use_is_written() -> bool:
            keys = await listed_keys(on.api, on.session)
            return any(
                key["id"] == on.key["id"] and key["lastUsedAt"] is not None and key["useCount"] >= 5
                for key in keys
            )

        await eventually(last_use_is_written, within=60, every=0.1)
    assert "Traceback" not in server.output()


def _set(server: PostgresServer, setting: str) -> None:
    server.execute(f"ALTER SYSTEM SET {setting};\nSELECT pg_reload_conf();")


# --- a row that does not open (S13) ----------------------------------------------------------------------------------
async def test_secret_that_does_not_open_fails_closed_and_backup_codes_still_work(
    timed: Timed, caplog: pytest.LogCaptureFixture
) -> None:
    url, account = timed.auth.settings.storage_url, timed.carol
    session = await timed.people.sign_in(account)
    timed.time.advance(minutes=1)
    spoilt = await spoil(url, account)
    challenge = await timed.people.challenge(account)
    for _ in range(7):
        for code in (account.has.at(0), account.has.wrong()):
            answer = await timed.people.verify(code, challenge=challenge)
            refused(answer, 503, "SERVICE_UNAVAILABLE")
    assert any(record.levelname == "CRITICAL" for record in caplog.records)
    # It never reads as "two factors are off", and what was not checked was not counted.
    state = await timed.people.two_factor(session)
    assert (state["enabled"], state["backupCodesRemaining"]) == (True, 10)
    body = {"password": account.password, "code": account.has.at(0)}
    timed.time.advance(minutes=11)
    for path in ("/two-factor/disable", "/two-factor/generate-backup-codes"):
        answer = await timed.api.post(path, body, bearer=session.token)
        refused(answer, 503, "SERVICE_UNAVAILABLE")
    assert await stored_secret(url, account) == spoilt
    challenge = await timed.people.challenge(account)
    accepted(await timed.people.redeem(account.codes[0], challenge=challenge))
    accepted(
        await timed.api.post("/two-factor/disable", body | {"code": account.codes[1]}, bearer=session.token)
    )


async def test_secret_of_somebody_else_does_not_open(timed: Timed) -> None:
    url = timed.auth.settings.storage_url
    one, other = timed.prepared.customers[:2]
    for account, secret in ((one, await stored_secret(url, other)), (other, await stored_secret(url, one))):
        await sql(url, "UPDATE {}factors SET sealed_secret = $1 WHERE user_id = $2", secret, account.id)
    for account, thief in ((one, other), (other, one)):
        challenge = await timed.people.challenge(account)
        for code in (account.has.at(0), thief.has.at(0)):
            answer = await timed.people.verify(code, challenge=challenge)
            refused(answer, 503, "SERVICE_UNAVAILABLE")


# --- a clock that is set back (S33) ----------------------------------------------------------------------------------
async def test_clock_set_back_by_an_hour_replays_nothing(timed: Timed) -> None:
    people, account = timed.people, timed.carol
    timed.time.advance(hours=2)
    earlier_code = account.has.at(-120)
    session = await people.sign_in(account)
    spent_code = account.has.at(0)
    used = await people.challenge(account)
    spent_backup_code = account.codes[0]
    accepted(await people.redeem(spent_backup_code, challenge=used))
    key, revoked = await create_key(timed.api, session), await create_key(timed.api, session)
    accepted(await timed.api.delete(f"/api-keys/{revoked['id']}", bearer=session.token), 204)
    await principal_of(timed.api, key["key"])
    refreshed = accepted(await timed.api.post("/token/refresh", {"refreshToken": session.refresh_token}))
    timed.time.advance(seconds=30)
    timed.time.advance(hours=-1)
    challenge = await people.challenge(account)
    refused(await people.verify(spent_code, challenge=challenge), 401, "INVALID_CODE")
    refused(await people.verify(earlier_code, challenge=challenge), 401, "INVALID_CODE")
    refused(await people.verify(account.has.at(0), challenge=challenge), 401, "INVALID_CODE")
    refused(await people.redeem(spent_backup_code, challenge=challenge), 401, "INVALID_BACKUP_CODE")
    refused(await people.redeem(account.codes[1], challenge=used), 401, "INVALID_TWO_FACTOR_COOKIE")
    replayed = await timed.api.post("/token/refresh", {"refreshToken": session.refresh_token})
    assert replayed.status_code in (401, 409)
    assert not await is_accepted(timed.api, revoked["key"])
    # What was good goes on: sessions, keys, the successor of the refresh token, unspent backup codes.
    accepted(await timed.api.get("/session", bearer=session.token))
    assert await is_accepted(timed.api, key["key"])
    accepted(await people.redeem(account.codes[1], challenge=challenge))
    if replayed.status_code == 409:
        accepted(await timed.api.post("/token/refresh", {"refreshToken": refreshed["refreshToken"]}))
    # And when the clock is right again, so is everything.
    timed.time.advance(hours=1, minutes=1)
    challenge = await people.challenge(account)
    accepted(await people.verify(account.has.at(0), challenge=challenge))


async def test_lock_outlasts_a_clock_that_is_set_back(timed: Timed) -> None:
    people, account = timed.people, timed.carol
    for _ in range(2):
        challenge = await people.challenge(account)
        for _ in range(5):
            refused(await people.verify(account.has.wrong(), challenge=challenge), 401, "INVALID_CODE")
    timed.time.advance(hours=-1)
    challenge = await people.challenge(account)
    answer = await people.verify(account.has.at(0), challenge=challenge)
    refused(answer, 429, "ACCOUNT_TEMPORARILY_LOCKED")


# --- a process that is killed (S30) ----------------------------------------------------------------------------------
@pytest.mark.deep
async def test_what_was_acknowledged_is_there_after_a_kill(
    databases: Databases, start_server: StartServer
) -> None:
    url = databases.new()
    server = start_server(database_url=url, env=ENV)
    async with new_client(server.url) as http:
        people = People(Api(http), clock=lambda: datetime.now(UTC), drift=DRIFT)
        account = databases.prepared.seen_by(people).customers[0]
        session = await people.sign_in(account)
    codes = iter(account.codes)
    kept: list[str] = []
    gone: list[str] = []
    used: list[str] = []
    # SQLite's file is the server's own to keep; what PostgreSQL keeps does not depend on it.
    for _ in range(3 if is_sqlite(url) else 1):
        async with new_client(server.url) as http:
            api = Api(http)
            people = People(api, clock=people.clock, drift=DRIFT)
            kept += [(await create_key(api, session))["key"] for _ in range(3)]
            doomed = await create_key(api, session)
            used.append(next(codes))
            accepted(await people.redeem(used[-1], challenge=await people.challenge(account)))
            accepted(await api.delete(f"/api-keys/{doomed['id']}", bearer=session.token), 204)
            gone.append(doomed["key"])
            # The last answer has just arrived.
            server.kill()
        server.start()
        async with new_client(server.url) as http:
            api = Api(http)
            people = People(api, clock=people.clock, drift=DRIFT)
            for text in kept:
                assert await is_accepted(api, text)
            for text in gone:
                assert not await is_accepted(api, text)
            for code in used:
                challenge = await people.challenge(account)
                refused(await people.redeem(code, challenge=challenge), 401, "INVALID_BACKUP_CODE")
            accepted(await people.redeem(next(codes), challenge=await people.challenge(account)))


@pytest.mark.deep
async def test_code_is_used_if_and_only_if_its_session_exists(
    databases: Databases, start_server: StartServer
) -> None:
    url = databases.new()
    server = start_server(database_url=url, env=ENV)
    async with new_client(server.url) as http:
        people = People(Api(http), clock=lambda: datetime.now(UTC), drift=DRIFT)
        account = databases.prepared.seen_by(people).customers[0]
        challenges = [await people.challenge(account) for _ in range(10)]
        tries = [
            asyncio.create_task(_unless_killed(people.redeem(code, challenge=challenge)))
            for code, challenge in zip(account.codes, challenges, strict=True)
        ]
        # Between the first answer and the last one: some have committed, some have not.
        await asyncio.wait(tries, return_when=asyncio.FIRST_COMPLETED)
        server.kill()
        acknowledged = [answer for answer in await asyncio.gather(*tries) if answer is not None]
    server.start()
    rows = await sql(
        url, "SELECT count(*) FROM {}backup_codes WHERE user_id = $1 AND used_at IS NOT NULL", account.id
    )
    sessions = await sql(
        url, "SELECT count(*) FROM {}sessions WHERE user_id = $1 AND amr = 'pwd bkp'", account.id
    )
    events = await sql(
        url,
        "SELECT count(*) FROM {}events WHERE user_id = $1 AND type = 'auth.2fa.backup_code_used'",
        account.id,
    )
    assert rows == sessions == events
    assert len(acknowledged) >= 1
    assert rows[0][0] >= len(acknowledged)
    async with new_client(server.url) as http:
        for answer in acknowledged:
            body = accepted(await Api(http).get("/whoami", bearer=answer.headers["set-auth-token"]))
            assert body["amr"] == ["pwd", "bkp"]


async def _unless_killed(asked: Awaitable[Answer]) -> Answer | None:
    with suppress(httpx.TransportError):
        answer = await asked
        accepted(answer)
        return answer
    return None
