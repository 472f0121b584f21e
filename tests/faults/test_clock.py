"""
S33: the clock of a running server with two workers is set back and forth by an hour.

`libfaketime` gives the server a clock of its own; its monotonic clock continues, as a real machine's does. With a clock
in the test's process the same is looked at more closely in `tests/contract/test_faults.py`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.attacks.conftest import scattering_client
from tests.contract.acting import create_key, is_accepted
from tests.contract.api import Api
from tests.contract.checks import accepted, refused
from tests.contract.database import sql
from tests.contract.databases import Databases
from tests.contract.deployments import Prepared
from tests.contract.people import Account, People
from tests.support.server import RunningServer
from tests.support.settings import KEY

pytestmark = pytest.mark.deep

HOUR = timedelta(hours=1)


class Setting:
    """A server whose clock the test sets."""

    def __init__(self, directory: Path, url: str, prepared: Prepared, *, workers: int = 2) -> None:
        self.url = url
        self._file = directory / "clock"
        self.set(timedelta(0))
        self.prepared = prepared
        self.server = RunningServer(
            directory,
            database_url=url,
            workers=workers,
            env={
                "AUTH_ENCRYPTION_KEY": KEY,
                "LD_PRELOAD": str(_library()),
                "FAKETIME_TIMESTAMP_FILE": str(self._file),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            },
        )

    def set(self, ahead: timedelta) -> None:
        """Let the server's clock go *ahead* of the real one."""
        self.ahead = ahead
        # Renamed into place: the server may read it at any time.
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{ahead.total_seconds():+.0f}")
        draft.rename(self._file)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def _library() -> Path:
    spec = importlib.util.find_spec("libfaketime")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"


@pytest.fixture(scope="module")
def setting(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    setting = Setting(tmp_path_factory.mktemp("clock"), databases.new(), databases.prepared)
    setting.server.start()
    yield setting
    setting.server.stop()


@pytest.fixture
async def people(setting: Setting) -> AsyncIterator[People]:
    async with scattering_client(setting.server.url) as http:
        people = People(Api(http), setting.now)
        account = await people.sign_up()
        ((at,),) = await sql(setting.url, "SELECT created_at FROM {}users WHERE id = $1", account.id)
        then = at if isinstance(at, datetime) else datetime.fromtimestamp(at / 1000, UTC)
        assert abs(then - setting.now()) <= timedelta(minutes=1), "libfaketime does not reach the server"
        yield people
    setting.set(timedelta(0))


async def is_taken(people: People, account: Account, code: str) -> bool:
    """Try a code at sign-in."""
    answer = await people.verify(code, challenge=await people.challenge(account))
    if answer.status_code != 200:
        refused(answer, 401, "INVALID_CODE")
    return answer.status_code == 200


@pytest.mark.parametrize("jump", [-HOUR, HOUR], ids=["back", "forth"])
async def test_no_step_is_spent_twice_by_a_clock_that_jumps(
    setting: Setting, people: People, jump: timedelta
) -> None:
    account = setting.prepared.seen_by(people).customers[0 if jump < timedelta(0) else 1]
    # Long before and long after the other case, so that no step of it is in the way.
    setting.set(timedelta(hours=12) if jump < timedelta(0) else timedelta(hours=6))
    start = setting.ahead
    spent = account.has.at(0)
    assert await is_taken(people, account, spent)
    used = await people.challenge(account)
    accepted(await people.redeem(account.codes[0], challenge=used))
    _, session = await people.newcomer()
    key, revoked = await create_key(people.api, session), await create_key(people.api, session)
    accepted(await people.api.delete(f"/api-keys/{revoked['id']}", bearer=session.token), 204)

    setting.set(start + jump)
    assert not await is_taken(people, account, spent)
    # Set back, no step of that hour counts; set forth, the present one does, once.
    present = account.has.at(0)
    assert await is_taken(people, account, present) is (jump > timedelta(0))
    assert not await is_taken(people, account, present)
    late = await people.redeem(account.codes[0], challenge=await people.challenge(account))
    refused(late, 401, "INVALID_BACKUP_CODE")
    refused(await people.redeem(account.codes[1], challenge=used), 401, "INVALID_TWO_FACTOR_COOKIE")
    # Sessions and keys live for longer than an hour, so they go on, and what was revoked stays so.
    assert (await people.api.get("/session", bearer=session.token)).status_code == 200
    assert await is_accepted(people.api, key["key"])
    assert not await is_accepted(people.api, revoked["key"])

    setting.set(start)
    assert not await is_taken(people, account, spent)
    assert not await is_taken(people, account, present)
    setting.set(start + max(jump, timedelta(0)) + timedelta(minutes=2))
    assert await is_taken(people, account, account.has.at(0))


async def test_access_token_and_challenge_end_by_the_clock_that_rules(
    setting: Setting, people: People
) -> None:
    account = setting.prepared.seen_by(people).customers[2]
    setting.set(timedelta(hours=20))
    session = await people.sign_in(account)
    challenge = await people.challenge(account)
    setting.set(timedelta(hours=21))
    refused(await people.api.get("/session", bearer=session.access_token), 401, "INVALID_TOKEN")
    refused(await people.verify(account.has.at(0), challenge=challenge), 401, "INVALID_TWO_FACTOR_COOKIE")
    answer = await people.api.post("/token/refresh", {"refreshToken": session.refresh_token})
    renewed = accepted(answer)
    assert (await people.api.get("/session", bearer=renewed["accessToken"])).status_code == 200
    # A token from the future is not valid yet.
    setting.set(timedelta(hours=20))
    refused(await people.api.get("/session", bearer=renewed["accessToken"]), 401, "INVALID_TOKEN")
    assert (await people.api.get("/session", bearer=session.token)).status_code == 200
