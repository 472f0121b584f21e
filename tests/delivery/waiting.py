"""Waiting for what happens in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], *, within: float = 60) -> None:
    """Wait until *condition* holds; TimeoutError when it does not *within* so many seconds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - the condition may be a file, or another process
            await asyncio.sleep(0.005)
