"""Health of the standalone server (docs/reference/settings.md)."""

from __future__ import annotations

import asyncio

from czo_auth.server import READY_SECONDS
from tests.conftest import StartServer
from tests.contract.api import new_client
from tests.contract.conftest import Live
from tests.contract.database import sql
from tests.contract.databases import Databases
from tests.support.settings import KEY

ENV = {"AUTH_ENCRYPTION_KEY": KEY, "CZO_AUTH_RATE_LIMIT_ENABLED": "false"}
READY = {"database": True, "migrations": True, "encryptionKey": True}


async def test_health_needs_no_credential_and_is_not_cached(live: Live) -> None:
    for path, body in (
        ("/healthz", {"status": "ok"}),
        ("/readyz", {"status": "ready", "checks": READY}),
    ):
        answer = await live.api.http.get(path)
        assert (answer.status_code, answer.json()) == (200, body)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"
        # A wrong credential is none of its business.
        assert (await live.api.http.get(path, headers={"authorization": "Bearer x"})).status_code == 200
        head = await live.api.http.head(path)
        assert (head.status_code, head.content) == (200, b"")
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            wrong = await live.api.http.request(method, path)
            assert (wrong.status_code, wrong.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
            assert wrong.headers["allow"] == "GET, HEAD"


async def test_what_the_server_does_not_have_is_404(live_sqlite: Live) -> None:
    for path in ("/health", "/metrics", "/api", "/api/authx", "/healthz/x", "/.env"):
        answer = await live_sqlite.api.http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND"), path


async def test_server_gives_figures_when_asked_to_and_is_ready_with_its_migrations_and_its_key(
    databases: Databases, start_server: StartServer
) -> None:
    url = databases.new()
    server = start_server(database_url=url, env=ENV | {"CZO_AUTH_METRICS_ENABLED": "true"})
    async with new_client(server.url) as http:
        figures = await http.get("/metrics")
        assert figures.status_code == 200
        assert figures.headers["content-type"].startswith("text/plain")
        wrong = await http.post("/metrics")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")

        async def checks() -> tuple[int, dict[str, bool]]:
            # One answer serves everyone for a second.
            await asyncio.sleep(READY_SECONDS + 0.1)
            answer = await http.get("/readyz")
            return answer.status_code, answer.json()["checks"]

        assert await checks() == (200, READY)
        ((revision,),) = await sql(url, "SELECT version_num FROM {}version")
        await sql(url, "UPDATE {}version SET version_num = '0000'")
        assert await checks() == (503, READY | {"migrations": False})
        await sql(url, "UPDATE {}version SET version_num = $1", revision)
        assert await checks() == (200, READY)
        ((kid, check),) = await sql(url, "SELECT kid, check_value FROM {}key_checks")
        await sql(url, "UPDATE {}key_checks SET check_value = $1 WHERE kid = $2", check[::-1], kid)
        assert await checks() == (503, READY | {"encryptionKey": False})
        answer = await http.get("/readyz")
        assert answer.json()["status"] == "not ready"
        assert int(answer.headers["retry-after"]) >= 1
        # It continues with what it has: being ready is for what sends it traffic.
        assert (await http.get("/healthz")).status_code == 200
        await sql(url, "UPDATE {}key_checks SET check_value = $1 WHERE kid = $2", check, kid)
        assert await checks() == (200, READY)
