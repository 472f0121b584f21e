"""Something else that happens in the middle of a flow, at a moment that the test names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from czo_auth.core.context import Context
from czo_auth.core.transaction import Transaction, Transactions

T = TypeVar("T")
Act = Callable[[], Awaitable[object]]


class Interruption:
    """
    Lets *act* happen right before a flow goes to the database for the n-th time.

    A flow can be overtaken at those moments only: what it reads in one transaction is of one moment. Trying each of
    them therefore tries every order in which the two can meet.

    Attributes:
        came: Whether the flow went there so often.
    """

    def __init__(
        self, transactions: Transactions, act: Act, *, before: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._transactions = transactions
        self._act, self._left, self._monkeypatch = act, before, monkeypatch
        self._acted = asyncio.Event()
        self.came = False

    async def during(self, flow: Awaitable[T]) -> T:
        """
        Run *flow*; *act* itself is not interrupted, and is over when this returns.

        Work in the background goes to the database too. When *act* comes before that, the flow may end first.
        """
        run, read = self._transactions.run, self._transactions.read

        async def run_later(step: Callable[[Transaction], T], context: Context | None = None) -> T:
            await self._count()
            return await run(step, context)

        async def read_later(step: Callable[[Transaction], T], context: Context | None = None) -> T:
            await self._count()
            return await read(step, context)

        with self._monkeypatch.context() as patch:
            patch.setattr(self._transactions, "run", run_later)
            patch.setattr(self._transactions, "read", read_later)
            answer = await flow
            if self.came:
                await self._acted.wait()
            return answer

    async def _count(self) -> None:
        if self.came:
            return
        self._left -= 1
        if self._left == 0:
            self.came = True
            try:
                await self._act()
            finally:
                self._acted.set()
