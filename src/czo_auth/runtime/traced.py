"""Measured wrappers of ports: transactions, hashing, sinks and the sender of webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from czo_auth.core.context import Context
from czo_auth.core.events.deliver import Sink, SinkUnavailable
from czo_auth.core.events.types import Event
from czo_auth.core.flows.webhooks.deliver import WebhookSender
from czo_auth.core.hashing import Hashing
from czo_auth.core.transaction import Transaction, Transactions
from czo_auth.core.two_factor.factor import HashedCode
from czo_auth.core.webhooks.destination import Destination
from czo_auth.crypto.codes import BackupCode
from czo_auth.crypto.passwords import PasswordMatch
from czo_auth.runtime.telemetry import Telemetry

T = TypeVar("T")


class TracedTransactions(Transactions):
    """Steps, each a span that is named after its function."""

    def __init__(self, inner: Transactions, telemetry: Telemetry) -> None:
        self._inner = inner
        self._telemetry = telemetry

    async def run(self, step: Callable[[Transaction], T], context: Context | None = None) -> T:
        if self._telemetry.is_idle:
            return await self._inner.run(step, context)
        with self._telemetry.work("step", "step", {"kind": "write"}, **_named(step)):
            return await self._inner.run(step, context)

    async def read(self, step: Callable[[Transaction], T], context: Context | None = None) -> T:
        if self._telemetry.is_idle:
            return await self._inner.read(step, context)
        with self._telemetry.work("step", "step", {"kind": "read"}, **_named(step)):
            return await self._inner.read(step, context)


class TracedHashing(Hashing):
    """Hashing, each a span of its kind."""

    def __init__(self, inner: Hashing, telemetry: Telemetry) -> None:
        self._inner = inner
        self._telemetry = telemetry

    @property
    def is_idle(self) -> bool:
        return self._inner.is_idle

    async def hash_password(self, password: str) -> str:
        with self._telemetry.work("hash", "hash", {"work": "hash_password"}):
            return await self._inner.hash_password(password)

    async def verify_password(self, stored: str | None, password: str) -> PasswordMatch:
        with self._telemetry.work("hash", "hash", {"work": "verify_password"}):
            return await self._inner.verify_password(stored, password)

    async def hash_codes(
        self, codes: Sequence[BackupCode], *, until_awaited: asyncio.Event | None = None
    ) -> list[HashedCode]:
        with self._telemetry.work("hash", "hash", {"work": "hash_codes"}):
            return await self._inner.hash_codes(codes, until_awaited=until_awaited)

    async def verify_code(self, stored: str | None, code: BackupCode) -> bool:
        with self._telemetry.work("hash", "hash", {"work": "verify_code"}):
            return await self._inner.verify_code(stored, code)

    def register(self, stored: str) -> None:
        self._inner.register(stored)

    def close(self) -> None:
        self._inner.close()


class TracedSink:
    """A sink whose deliveries are measured; everything else is delegated to it."""

    def __init__(self, inner: Sink, telemetry: Telemetry) -> None:
        self._inner = inner
        self._telemetry = telemetry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def name(self) -> str:
        """The name of the sink's place in the outbox."""
        return self._inner.name

    async def deliver(self, event: Event) -> None:
        """Hand *event* over. Raises what the sink raises."""
        attributes = {
            "messaging.system": "czo_auth",
            "messaging.operation.type": "send",
            "messaging.destination.name": self.name,
            "messaging.message.id": event.id,
            "czo_auth.event.type": event.type,
        }
        with self._telemetry.work("delivery", f"send {self.name}", {"sink": self.name}, **attributes) as work:
            try:
                await self._inner.deliver(event)
            except SinkUnavailable:
                work.labels["outcome"] = "unavailable"
                raise


class TracedSender(WebhookSender):
    """The sender of webhooks. No attribute names the endpoint, because it may belong to anybody."""

    def __init__(self, inner: WebhookSender, telemetry: Telemetry) -> None:
        self._inner = inner
        self._telemetry = telemetry

    async def send(self, destination: Destination, *, headers: Mapping[str, str], body: bytes) -> int:
        with self._telemetry.work("webhook_delivery", "send webhook", {}) as work:
            status = await self._inner.send(destination, headers=headers, body=body)
            work.set("http.response.status_code", status)
            return status

    async def close(self) -> None:
        await self._inner.close()


def _named(step: Callable[..., object]) -> dict[str, str]:
    module = getattr(step, "__module__", None) or ""
    name = getattr(step, "__qualname__", None) or type(step).__name__
    return {"code.function.name": f"{module}.{name}".replace(".<locals>", "")}
