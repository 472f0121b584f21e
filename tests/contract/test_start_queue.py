"""A burst of requests begins a few at a time, and checks of credentials do not wait for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from czo_auth.asgi.admission import BEGIN_AT_ONCE
from czo_auth.core.turn_queue import TurnQueue
from tests.contract.acting import create_key
from tests.contract.deployments import Timed
from tests.support.scope import http_scope
from tests.support.turns import Turns

BURST = 60


async def call(timed: Timed, method: str, path: str, *, bearer: str = "", receive: Any = None) -> int:
    """Call the application as a server does; return the status."""
    sent: list[Any] = []

    async def nothing() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    if bearer:
        headers.append((b"authorization", f"Bearer {bearer}".encode()))
    scope = http_scope(method, f"/api/auth{path}", headers)
    await timed.runtime.app(scope, receive or nothing, send)
    status: int = sent[0]["status"]
    return status


async def test_check_of_a_key_runs_between_the_requests_of_a_burst(timed: Timed) -> None:
    key = await create_key(timed.api, await timed.people.sign_in(timed.ada, "customer"))
    assert await call(timed, "GET", "/forward-auth", bearer=key["key"]) == 200
    began: list[int] = []
    turns = Turns()

    async def receive() -> Any:
        # Asked for at once: nobody is looked up before the body of this route.
        began.append(turns.number)
        return {"type": "http.request", "body": b"{}", "more_body": False}

    burst = [
        asyncio.create_task(call(timed, "POST", "/customer/sign-in/email", receive=receive))
        for _ in range(BURST)
    ]
    check = asyncio.create_task(call(timed, "GET", "/forward-auth", bearer=key["key"]))
    assert await check == 200
    assert len(began) < BURST / 2
    assert {await each for each in burst} <= {400, 429}
    turns.stop()
    assert len(began) >= BURST
    assert max(Counter(began).values()) <= BEGIN_AT_ONCE


async def test_requests_begin_in_their_order_and_the_cancelled_do_not_count() -> None:
    start_queue, began = TurnQueue(BEGIN_AT_ONCE), []

    async def request(number: int) -> None:
        await start_queue.wait()
        began.append(number)

    tasks = [asyncio.create_task(request(number)) for number in range(20)]
    await asyncio.sleep(0)
    assert began == list(range(BEGIN_AT_ONCE))
    for task in tasks[5:15]:
        task.cancel()
    await asyncio.wait(tasks)
    assert began == [*range(5), *range(15, 20)]
    await request(20)
    assert began[-1] == 20


def test_next_event_loop_does_not_wait_for_the_turn_of_a_closed_one() -> None:
    start_queue = TurnQueue(BEGIN_AT_ONCE)

    async def some() -> None:
        for _ in range(BEGIN_AT_ONCE):
            await start_queue.wait()

    for _ in range(2):
        loop = asyncio.new_event_loop()
        # Ends before the turn does: what was to follow is never called.
        loop.run_until_complete(asyncio.wait_for(some(), 5))
        loop.close()
