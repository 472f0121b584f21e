"""The lifespan of an ASGI application, run around a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Message


@asynccontextmanager
async def lifespan_of(app: ASGIApp) -> AsyncIterator[None]:
    """
    Start *app*, and stop it after the block.

    Raises:
        RuntimeError: It reported that it could not start or stop.
    """
    asked: asyncio.Queue[Message] = asyncio.Queue()
    answers: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    life = asyncio.ensure_future(app(scope, asked.get, answers.put))
    try:
        await _turn(life, asked, answers, "startup")
        yield
        await _turn(life, asked, answers, "shutdown")
        await life
    finally:
        life.cancel()


async def _turn(
    life: asyncio.Future[None], asked: asyncio.Queue[Message], answers: asyncio.Queue[Message], what: str
) -> None:
    await asked.put({"type": f"lifespan.{what}"})
    answer = asyncio.ensure_future(answers.get())
    await asyncio.wait((life, answer), return_when=asyncio.FIRST_COMPLETED)
    if not answer.done():
        answer.cancel()
        # What the application raised, or that it returned without a message.
        await life
        raise RuntimeError(f"the application ended at its {what} without a word")
    message = answer.result()
    if message["type"] != f"lifespan.{what}.complete":
        raise RuntimeError(f"the application failed at its {what}: {message.get('message', '')}")
