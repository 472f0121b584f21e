"""
S31: the shared counters of the coarse limits (Redis) gone, frozen, emptied.

What they count is a courtesy: second-factor caps and revocation live in the database and hold without them.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.attacks.conftest import scattering_client
from tests.contract.acting import create_key, is_accepted
from tests.contract.api import Api
from tests.contract.checks import accepted, refused
from tests.contract.conftest import DRIFT
from tests.contract.databases import SqliteDatabases
from tests.contract.people import People
from tests.support.server import RunningServer
from tests.support.settings import KEY
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.deep

MAILS = 10
"""Mails in a quarter of an hour for one account."""


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as valkey:
        yield valkey


@pytest.fixture(scope="module")
def server(
    valkey: ValkeyServer, sqlite_databases: SqliteDatabases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    directory: Path = tmp_path_factory.mktemp("limited")
    env = {
        "AUTH_ENCRYPTION_KEY": KEY,
        "CZO_AUTH_RATE_LIMIT_URL": valkey.url,
        "CZO_AUTH_TOTP_DRIFT": str(DRIFT),
    }
    server = RunningServer(
        directory, database_url=sqlite_databases.new(), workers=2, env=env, weak_hashes=True
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def people(server: RunningServer) -> AsyncIterator[People]:
    async with scattering_client(server.url) as http:
        yield People(Api(http), lambda: datetime.now(UTC), drift=DRIFT)


async def refused_mails(people: People, email: str, count: int) -> int:
    """Ask for *count* mails to one address; gives how many were too many."""
    answers = [await people.api.post("/request-password-reset", {"email": email}) for _ in range(count)]
    assert {answer.status_code for answer in answers} <= {200, 429}
    return [answer.status_code for answer in answers].count(429)


async def test_processes_share_the_counters(people: People, valkey: ValkeyServer) -> None:
    assert await refused_mails(people, "shared@example.com", MAILS + 4) == 4
    valkey.ask("FLUSHALL")
    assert await refused_mails(people, "shared@example.com", MAILS + 2) == 2


FAULTS: dict[str, tuple[Callable[[ValkeyServer], object], Callable[[ValkeyServer], object]]] = {
    "gone": (ValkeyServer.stop, ValkeyServer.start),
    "frozen": (ValkeyServer.pause, ValkeyServer.resume),
    "emptied": (lambda valkey: valkey.ask("FLUSHALL"), lambda valkey: None),
}


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        # One that begins again from nothing refuses less, as one that is gone does.
        pytest.param(number, fault, id=fault, marks=pytest.mark.deep if fault == "emptied" else ())
        for number, fault in enumerate(FAULTS)
    ],
)
async def test_caps_and_revocation_hold_without_the_counters(
    people: People,
    server: RunningServer,
    valkey: ValkeyServer,
    sqlite_databases: SqliteDatabases,
    number: int,
    fault: str,
) -> None:
    account = sqlite_databases.prepared.seen_by(people).customers[number]
    session = await people.sign_in(account)
    key, doomed = await create_key(people.api, session), await create_key(people.api, session)
    begin, end = FAULTS[fault]
    begin(valkey)
    try:
        begun = time.monotonic()
        accepted(await people.api.delete(f"/api-keys/{doomed['id']}", bearer=session.token), 204)
        assert not await is_accepted(people.api, doomed["key"])
        assert await is_accepted(people.api, key["key"])
        for _ in range(2):
            challenge = await people.challenge(account)
            for _ in range(5):
                answer = await people.verify(account.has.wrong(), challenge=challenge)
                refused(answer, 401, "INVALID_CODE")
        challenge = await people.challenge(account)
        answer = await people.verify(account.has.code(), challenge=challenge)
        refused(answer, 429, "ACCOUNT_TEMPORARILY_LOCKED")
        # Nobody waits for what does not answer: each process tries in vain now and then, for half a second.
        assert time.monotonic() - begun < 30
        # Meanwhile each process counts for itself.
        assert await refused_mails(people, f"{fault}@example.com", 2 * MAILS + 4) >= 4
    finally:
        end(valkey)
    assert "Traceback" not in server.output()
