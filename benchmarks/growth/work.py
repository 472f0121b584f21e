"""Actions of users and administrators, and their CPU time, in this process and in PostgreSQL's."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from benchmarks import data
from benchmarks.cpu import seconds_of_tree
from benchmarks.growth import fill
from czo_auth import Auth
from czo_auth.core.mail import MailMessage
from czo_auth.core.paging import PageQuery
from czo_auth.core.users.store import UserFilter
from tests.integrations.acting import BASE, Person, enroll, settle_administrator, sign_in
from tests.support.postgres import PostgresServer

EXPIRED = 2_000
DEAD_KEYS, LIVE_KEYS = 100_000, 100
SIGN_IN, DELETION, HOUSEKEEPING = (
    "sign in with a password",
    "delete a user",
    f"housekeeping of {EXPIRED:,} sessions",
)
BAN = f"ban a user with {LIVE_KEYS} keys"
BAN_OF_MANY = f"ban a user with {DEAD_KEYS:,} dead keys beside them"
_new_numbers = count(1)

Work = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class Filled:
    """A database with people."""

    url: str
    users: int
    postgres: PostgresServer | None


async def measure(
    base: Filled, *, rounds: int, dead_keys: int = DEAD_KEYS, only: Collection[str] | None = None
) -> Mapping[str, float]:
    """Do everything, or *only* this, several times; return the median CPU time of each, in seconds."""
    async with _running(base) as work:
        found: dict[str, list[float]] = {
            what: [] for what in work.everything(dead_keys) if only is None or what in only
        }
        for number in range(rounds + 1):
            for what, (prepare, act) in work.everything(dead_keys).items():
                if what not in found:
                    continue
                await asyncio.to_thread(prepare, number)
                before = _cpu_seconds(base)
                await act(number)
                if number:
                    found[what].append(_cpu_seconds(base) - before)
    return {what: statistics.median(times) for what, times in found.items()}


def _cpu_seconds(base: Filled) -> float:
    database = seconds_of_tree(base.postgres.pid) if base.postgres else 0.0
    return time.process_time() + database


@asynccontextmanager
async def _running(base: Filled) -> AsyncIterator[_Work]:
    auth = Auth(data.settings(base.url, rate_limit_enabled=False), mail=NoMail())
    await auth.start()
    try:
        transport = httpx.ASGITransport(Starlette(routes=[Mount(BASE, auth.app)]))
        async with httpx.AsyncClient(transport=transport, base_url=data.ISSUER, timeout=600) as client:
            root = await sign_in(client, await settle_administrator(auth), actor="admin")
            client.cookies.clear()
            root = await enroll(client, root)
            client.cookies.clear()
            yield _Work(base, auth, client, root)
    finally:
        await auth.stop()


class NoMail:
    """Accepts every mail and sends none."""

    async def send(self, message: MailMessage) -> None:
        """Take it."""


class _Work:
    """The operations, each with its preparation."""

    def __init__(self, base: Filled, auth: Auth, client: httpx.AsyncClient, root: Person) -> None:
        self._base = base
        self._auth = auth
        self._client = client
        self._root = root

    def everything(self, dead_keys: int) -> dict[str, tuple[Callable[[int], None], Work]]:
        """List the operations; the number of the round selects the user."""
        recent = (data.now() - timedelta(seconds=2)).isoformat().replace("+00:00", "Z")
        lists = {
            "search users by a text": "/admin/users?search=person17%40",
            "search users by a text that all have": "/admin/users?search=example.com",
            "first page of all users": "/admin/users",
            "first page of the audit log": "/admin/audit",
            "audit log of one user": f"/admin/audit?userId={fill.user_id(self._base.url, 17)}",
            "audit log by a rare action": f"/admin/audit?action={fill.RARE}",
            "audit log of the last seconds": f"/admin/audit?since={recent}",
        }
        return {
            SIGN_IN: (_nothing, self._sign_in),
            **{what: (_nothing, self._getter(path)) for what, path in lists.items()},
            "search users by a text that all have, counted as the pages do": (
                _nothing,
                self._search_for_a_page,
            ),
            HOUSEKEEPING: (self._expire, self._tidy),
            DELETION: (_nothing, self._delete),
            BAN: (self._with_keys(100, 0, beside=dead_keys), self._ban(100)),
            BAN_OF_MANY.replace(f"{DEAD_KEYS:,}", f"{dead_keys:,}"): (
                self._with_keys(200, dead_keys),
                self._ban(200),
            ),
        }

    async def _sign_in(self, number: int) -> None:
        await sign_in(self._client, fill.email(300 + number))
        self._client.cookies.clear()

    def _getter(self, path: str) -> Work:
        async def get(_: int) -> None:
            await self._asked("GET", path)

        return get

    async def _search_for_a_page(self, _: int) -> None:
        matching = UserFilter(text="example.com")
        await self._auth.administration.search(matching, page=PageQuery(counts_all=False))

    def _expire(self, _: int) -> None:
        fill.add_expired_sessions(self._base.url, EXPIRED, since=next(_new_numbers) * EXPIRED)

    async def _tidy(self, _: int) -> None:
        await self._auth._housekeeping.tidy()

    async def _delete(self, number: int) -> None:
        await self._asked("DELETE", f"/admin/users/{self._person(400 + number)}", {"reason": "measured"})

    def _with_keys(self, since: int, dead: int, *, beside: int = 0) -> Callable[[int], None]:
        """
        Give somebody live and dead keys.

        Args:
            beside: Dead keys of somebody else: writing many rows empties caches, which is not what is compared.
        """

        def prepare(number: int) -> None:
            place = next(_new_numbers) * 1_000_000
            if beside:
                fill.add_keys(self._base.url, self._person(450 + number), dead=beside, live=0, since=place)
                place = next(_new_numbers) * 1_000_000
            fill.add_keys(
                self._base.url, self._person(since + number), dead=dead, live=LIVE_KEYS, since=place
            )

        return prepare

    def _ban(self, since: int) -> Work:
        async def ban(number: int) -> None:
            await self._asked(
                "POST", f"/admin/users/{self._person(since + number)}/ban", {"reason": "measured"}
            )

        return ban

    def _person(self, number: int) -> str:
        return fill.user_id(self._base.url, number)

    async def _asked(self, method: str, path: str, body: Any = None) -> None:
        answer = await self._client.request(method, BASE + path, json=body, headers=self._root.bearer)
        if not answer.is_success:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:300]}")


def _nothing(_: int) -> None:
    """Do nothing: no preparation is needed."""
