"""Uses and quotas of keys with four processes: at midnight, when the server is killed, and when it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.attacks.conftest import scattering_client
from tests.contract.acting import create_key, eventually, listed_keys
from tests.contract.api import Api
from tests.contract.checks import refused
from tests.contract.database import sql
from tests.contract.databases import Databases
from tests.contract.people import People, Session
from tests.faults.test_clock import HOUR, Setting

pytestmark = [pytest.mark.each_database, pytest.mark.deep]

QUOTA = 100
BLOCK = 5
WORKERS = 4
FLUSH_SECONDS = 5
FLOOD = 250
AT_ONCE = 64
PATIENCE = 30


@pytest.fixture(scope="module")
def setting(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    setting = Setting(
        tmp_path_factory.mktemp("key-usage"), databases.new(), databases.prepared, workers=WORKERS
    )
    setting.set(_until_midnight() - 3 * HOUR)
    setting.server.start()
    yield setting
    setting.server.stop()


@pytest.fixture
async def people(setting: Setting) -> AsyncIterator[People]:
    async with scattering_client(setting.server.url) as http:
        yield People(Api(http), setting.now)


def _until_midnight() -> timedelta:
    now = datetime.now(UTC)
    return datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1) - now


def _until_the_middle_of_a_month() -> timedelta:
    """Return how far away the next 15th is at noon: a quota of a month does not begin again while a test lasts."""
    now = datetime.now(UTC)
    noon = now.replace(day=15, hour=12)
    return (noon if noon > now else (noon + timedelta(days=31)).replace(day=15)) - now


async def flood(people: People, key: str, count: int = FLOOD) -> int:
    """Use a key *count* times at once; give how often it passed. All else is 429, once the database has time."""
    # As many as there are connections: the wait for a free one is not the server's.
    at_once = asyncio.Semaphore(AT_ONCE)

    async def use() -> httpx.Response:
        async with at_once:
            for _ in range(PATIENCE):
                answer = await people.api.get("/whoami", bearer=key)
                if answer.status_code != 503:
                    break
                # Four processes write to one file, on a machine that may be busy with much else.
                await asyncio.sleep(refused(answer, 503, "SERVICE_UNAVAILABLE")["retryAfter"])
            return answer

    answers = await asyncio.gather(*(use() for _ in range(count)))
    codes = [answer.status_code for answer in answers]
    assert set(codes) <= {200, 429}, {answer.text for answer in answers}
    return codes.count(200)


async def session_of(people: People) -> Session:
    _, session = await people.newcomer()
    return session


async def test_quota_is_never_exceeded_by_four_processes_nor_at_midnight(
    setting: Setting, people: People
) -> None:
    session = await session_of(people)
    key = await create_key(people.api, session, quotaMax=QUOTA, quotaPeriod="day")
    # Before midnight: each of the four processes may hold the rest of a block when the others have none.
    setting.set(_until_midnight() - HOUR)
    first = await flood(people, key["key"])
    assert QUOTA - WORKERS * BLOCK < first <= QUOTA
    # The clock passes midnight while requests are under way; what passes belongs to one day or the other.
    racing = asyncio.create_task(flood(people, key["key"]))
    await asyncio.sleep(0.05)
    setting.set(_until_midnight() + timedelta(seconds=1))
    second = await racing + await flood(people, key["key"])
    assert QUOTA - WORKERS * BLOCK < second <= QUOTA + (QUOTA - first)
    taken = await sql(
        setting.url, "SELECT period, taken FROM {}api_key_quotas WHERE counter_id = $1", key["id"]
    )
    assert len(taken) == 2
    assert all(count <= QUOTA for _, count in taken)
    # Set back, the day before is used up; no use is counted for another day than the clock says.
    setting.set(_until_midnight() - HOUR)
    assert await flood(people, key["key"], 20) <= QUOTA - first


async def test_kill_loses_one_flush_of_uses_and_lets_none_pass_twice(
    setting: Setting, people: People
) -> None:
    setting.set(_until_the_middle_of_a_month())
    session = await session_of(people)
    key = await create_key(people.api, session, quotaMax=QUOTA, quotaPeriod="month")

    async def count() -> int:
        (listed,) = await listed_keys(people.api, session)
        shown: int = listed["useCount"]
        return shown

    passed = await flood(people, key["key"], 20)
    assert passed == 20

    async def all_are_written() -> bool:
        return await count() == passed

    await eventually(all_are_written, within=FLUSH_SECONDS * 4, every=0.2)
    waiting = await flood(people, key["key"], 10)
    setting.server.kill()
    setting.server.start()
    assert passed <= await count() <= passed + waiting
    rest = await flood(people, key["key"])
    # What was taken ahead and not used is lost with the processes; nothing is let pass a second time.
    assert QUOTA - 2 * WORKERS * BLOCK < passed + waiting + rest <= QUOTA
    assert (await refused_once(people, key["key"])).json()["code"] == "QUOTA_EXCEEDED"


async def refused_once(people: People, key: str) -> httpx.Response:
    while True:
        answer = await people.api.get("/whoami", bearer=key)
        if answer.status_code not in (200, 503):
            return answer


async def test_stopped_server_writes_what_it_counted_and_gives_back_what_it_took(
    setting: Setting, people: People
) -> None:
    setting.set(_until_the_middle_of_a_month())
    session = await session_of(people)
    key = await create_key(people.api, session, quotaMax=QUOTA, quotaPeriod="month")
    passed = await flood(people, key["key"], 30)
    setting.server.stop()
    ((uses,),) = await sql(setting.url, "SELECT use_count FROM {}api_keys WHERE id = $1", key["id"])
    ((taken,),) = await sql(
        setting.url, "SELECT taken FROM {}api_key_quotas WHERE counter_id = $1", key["id"]
    )
    assert (uses, taken) == (passed, passed)
    setting.server.start()
