"""
How many SQL statements the busy operations send: a number that grows unnoticed, and costs a round trip each.

The numbers are the ones of today. One that gets smaller is written down; one that gets larger needs a reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.contract.acting import create_key
from tests.contract.checks import accepted
from tests.contract.deployments import Timed
from tests.support.statements import noted_statements

pytestmark = pytest.mark.each_database

_SQLITE = {
    "sign in": 5,
    "second factor": 18,
    "refresh": 6,
    "create a key": 10,
    "use a key": 0,
    "verify a key": 1,
    "rotate a key": 12,
    "rename a key": 7,
    "revoke a key": 5,
    "use a quota": 1,
    "use what was taken of it": 0,
    "flush uses": 2,
}
# One of each that records something is the count of what its user causes in a day (S44). Who makes or rotates a key is
# read for the mail about it.
# A user is locked before they are read, and the end of the chain is read after its lock: each is a statement of its
# own, or it would see what was there before the wait. One record and its event are written together. Uses of several
# keys wait for none of them, so those that nobody holds are locked first.
_MORE_ON_POSTGRESQL = {
    "sign in": 1,
    "second factor": 1,
    "refresh": 1,
    "create a key": 1,
    "rename a key": 2,
    "rotate a key": 1,
    "flush uses": 1,
}


@asynccontextmanager
async def counted(timed: Timed) -> AsyncIterator[list[str]]:
    """Note the statements of steps, mails that an operation causes included."""
    with noted_statements() as sent:
        yield sent
        await asyncio.gather(*timed.runtime._background._tasks)  # type: ignore[attr-defined]


async def stop_what_works_beside(timed: Timed) -> None:
    """Let nothing but the requests of the test send statements."""
    runtime = timed.runtime
    assert runtime._delivery is not None
    await runtime._delivery.stop()
    background: Any = runtime._background
    repeating: set[asyncio.Task[None]] = background._repeating | background._finishing
    for task in repeating:
        task.cancel()
    await asyncio.gather(*repeating, return_exceptions=True)


async def test_busy_operations_send_no_more_statements_than_before(timed: Timed) -> None:
    people, api = timed.people, timed.api
    admin = await people.sign_in(timed.ada, "admin")
    service = await create_key(api, admin, scopes=["api-keys:verify"])
    limited = await create_key(api, admin, quotaMax=100, quotaPeriod="day")
    # A step of the clock for each code, and whatever is done once in a process is done.
    timed.time.advance(minutes=1)
    await people.sign_in(timed.carol)
    timed.time.advance(minutes=1)
    await timed.runtime._housekeeping.flush_key_uses()
    await stop_what_works_beside(timed)
    found: dict[str, list[str]] = {}
    async with counted(timed) as found["sign in"]:
        challenge = await people.challenge(timed.carol)
    code = timed.carol.has.code()
    async with counted(timed) as found["second factor"]:
        session = accepted(await people.verify(code, challenge=challenge))
    async with counted(timed) as found["refresh"]:
        accepted(await api.post("/token/refresh", {"refreshToken": session["refreshToken"]}))
    async with counted(timed) as found["create a key"]:
        made = accepted(await api.post("/api-keys", {"name": "a"}, bearer=admin.token), 201)["apiKey"]
    async with counted(timed) as found["use a key"]:
        accepted(await api.get("/whoami", bearer=made["key"]))
    async with counted(timed) as found["verify a key"]:
        accepted(await api.post("/api-keys/verify", {"key": made["key"]}, bearer=service["key"]))
    async with counted(timed) as found["rotate a key"]:
        accepted(await api.post(f"/api-keys/{made['id']}/rotate", {}, bearer=admin.token), 201)
    async with counted(timed) as found["rename a key"]:
        accepted(await api.patch(f"/api-keys/{limited['id']}", {"name": "b"}, bearer=admin.token))
    async with counted(timed) as found["revoke a key"]:
        accepted(await api.delete(f"/api-keys/{made['id']}", bearer=admin.token), 204)
    async with counted(timed) as found["use a quota"]:
        accepted(await api.get("/whoami", bearer=limited["key"]))
    async with counted(timed) as found["use what was taken of it"]:
        for _ in range(4):
            accepted(await api.get("/whoami", bearer=limited["key"]))
    async with counted(timed) as found["flush uses"]:
        await timed.runtime._housekeeping.flush_key_uses()
    more = _MORE_ON_POSTGRESQL if timed.runtime.storage.dialect == "postgresql" else {}
    expected = {name: count + more.get(name, 0) for name, count in _SQLITE.items()}
    grown = {name: sent for name, sent in found.items() if len(sent) != expected[name]}
    assert not grown, "\n".join(f"{len(sent)} for {name}: {sent}" for name, sent in grown.items())
