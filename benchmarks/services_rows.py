"""Requests of proxies and other services: forward authentication, introspection, and exchanged tokens."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from benchmarks import data
from benchmarks.credentials_rows import UNIT, Loaded, Plan, hello, loaded, ours
from benchmarks.measure import HELLO, OURS, Row, in_rounds
from benchmarks.subjects import Subject, granian, running
from czo_auth import Auth
from tests.integrations.acting import (
    BASE,
    Person,
    body_of,
    create_key,
    enroll,
    settle_administrator,
    sign_in,
)

FORWARD_AUTH = "forward-auth, remembered key"
INTROSPECTION = "introspection of a remembered key"
EXCHANGED = "exchanged token, seen before"
REMEMBERED = "API key, remembered"
WITH_QUOTA = "API key with a quota, remembered"
FORM_READ = "hello after reading a form"
TARGETS = {
    FORM_READ: None,
    FORWARD_AUTH: 1.6,
    INTROSPECTION: 2.5,
    EXCHANGED: 1.25,
    REMEMBERED: None,
    WITH_QUOTA: None,
}


def rows(plan: Plan, directory: Path) -> list[Row]:
    """Measure CPU time per request as a multiple of hello, next to a cached key in the middleware."""
    with loaded(plan.sizes[0], directory, None) as base:
        exchanged, asker, limited = asyncio.run(_prepared(base, directory))
        api = granian("benchmarks.hosts.ours_api:app")
        env = data.environment(base.url)
        subjects = [
            hello(),
            ours(REMEMBERED, base, base.busy),
            ours(EXCHANGED, base, exchanged),
            ours(WITH_QUOTA, base, limited),
            Subject(
                FORM_READ,
                granian("benchmarks.hosts.hello:reading_app"),
                tokens=base.busy,
                path=f"{BASE}/introspect",
                asker=asker,
            ),
            Subject(FORWARD_AUTH, api, env=env, tokens=base.busy, path=f"{BASE}/forward-auth"),
            Subject(INTROSPECTION, api, env=env, tokens=base.busy, path=f"{BASE}/introspect", asker=asker),
        ]
        with running(subjects, directory) as up:
            series = in_rounds(up, rounds=plan.rounds, seconds=plan.seconds)
    return [
        Row(
            operation=operation,
            subject=HELLO if operation == FORM_READ else OURS,
            database="" if operation == FORM_READ else "sqlite",
            keys=None if operation == FORM_READ else base.keys,
            cpu_us=series[operation].cpu,
            rps=series[operation].rate,
            value=series[operation].ratio_to(series[HELLO]),
            unit=UNIT,
            target=target,
        )
        for operation, target in TARGETS.items()
    ]


async def _prepared(base: Loaded, directory: Path) -> tuple[Path, str, Path]:
    """Exchange the busy keys for tokens, and make a key that may introspect, and one with a quota."""
    auth = Auth(data.settings(base.url, rate_limit_enabled=False))
    await auth.start()
    try:
        now, trade = auth.now(), auth.exchange_token.exchange
        keys = base.busy.read_text().split()
        issued = [
            await trade(key, scopes=None, audience=None, lifetime=None, client=lambda: None, now=now)
            for key in keys
        ]
        lines = data.write_lines(directory / "exchanged.txt", [token.access_token for token in issued])
        async with _client_of(auth) as client:
            root = await _administrator(auth, client)
            _, bearer = await create_key(client, root, scopes=["api-keys:verify"])
            limits = {"name": "limited", "quotaMax": 10**9, "quotaPeriod": "month"}
            made = await client.post(f"{BASE}/api-keys", json=limits, headers=root.bearer)
            limited = body_of(made, status=201)["apiKey"]["key"]
    finally:
        await auth.stop()
    quota_lines = data.write_lines(directory / "limited.txt", [limited])
    return lines, bearer["authorization"].removeprefix("Bearer "), quota_lines


async def asking_key(auth: Auth) -> str:
    """Make a key that may introspect."""
    async with _client_of(auth) as client:
        _, bearer = await create_key(client, await _administrator(auth, client), scopes=["api-keys:verify"])
    return bearer["authorization"].removeprefix("Bearer ")


def _client_of(auth: Auth) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(Starlette(routes=[Mount(BASE, auth.app)]))
    return httpx.AsyncClient(transport=transport, base_url=data.ISSUER)


async def _administrator(auth: Auth, client: httpx.AsyncClient) -> Person:
    root = await sign_in(client, await settle_administrator(auth), actor="admin")
    client.cookies.clear()
    root = await enroll(client, root)
    client.cookies.clear()
    return root
