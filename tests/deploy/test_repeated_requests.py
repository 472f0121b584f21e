"""
What nginx does with a request whose server gave no answer.

It is asked with the configuration of deploy/ and with that of the fault tests, which judge by it what they see.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.contract.acting import create_key, is_accepted, listed_keys
from tests.contract.api import Api, new_client
from tests.contract.checks import accepted, refused
from tests.contract.conftest import DRIFT
from tests.contract.people import People, Session
from tests.deploy.test_deploy import nginx_configuration
from tests.support.nginx import PROGRAM, Nginx, was_repeated
from tests.support.ports import free_port
from tests.support.server import RunningServer

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="nginx is not installed")


@dataclass
class Ways:
    """Two ways from nginx to one server, as two servers would be; one answer may be lost on them."""

    target: int
    ports: list[int] = field(default_factory=lambda: [free_port(), free_port()])
    lose_next: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass a request on and its answer back, unless it is to be lost as by a server that was killed."""
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self.target)
        asking = asyncio.create_task(self._pass_on(reader, behind_writer))
        # Small answers, which come at once; nginx ends the connection after each.
        answer = await behind_reader.read(65536)
        lost, self.lose_next = self.lose_next, False
        if not lost:
            writer.write(answer)
            await writer.drain()
            await asking
        asking.cancel()
        for each in (writer, behind_writer):
            each.close()
            await each.wait_closed()

    @staticmethod
    async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)


@dataclass
class Behind:
    """
    The server behind nginx, and one of its users.

    Attributes:
        log: What nginx writes about each request; None where it writes nothing.
    """

    ways: Ways
    api: Api
    session: Session
    listening: list[asyncio.Server]
    log: Path | None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    server = RunningServer(
        tmp_path_factory.mktemp("server"),
        env={"CZO_AUTH_RATE_LIMIT_ENABLED": "false"},
        weak_hashes=True,
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["deploy", "faults"])
async def behind(
    request: pytest.FixtureRequest, server: RunningServer, tmp_path: Path
) -> AsyncIterator[Behind]:
    ways, port, text = Ways(server.port), free_port(), None
    if request.param == "deploy":
        text = nginx_configuration(tmp_path, listen=port, servers=ways.ports).replace(
            "proxy_pass http://auth;",
            "proxy_pass http://auth; add_header X-Upstream-Bytes-Sent $upstream_bytes_sent always;",
        )
    listening = [await asyncio.start_server(ways.serve, "127.0.0.1", each) for each in ways.ports]
    async with new_client(server.url) as http:
        people = People(Api(http), lambda: datetime.now(UTC), drift=DRIFT)
        session = await people.sign_in(await people.sign_up())
    with Nginx(tmp_path, ways.ports, configuration=text, port=port) as nginx:
        async with new_client(nginx.url) as http:
            log = tmp_path / "access.log" if text else None
            yield Behind(ways, Api(http), session, listening, log)
    for each in listening:
        each.close()


async def test_deletion_is_repeated_and_the_second_answer_says_that_it_is_gone(behind: Behind) -> None:
    key = await create_key(behind.api, behind.session)
    behind.ways.lose_next = True
    answer = await behind.api.delete(f"/api-keys/{key['id']}", bearer=behind.session.token)
    assert was_repeated(answer)
    refused(answer, 404, "NOT_FOUND")
    assert not await is_accepted(behind.api, key["key"])
    if behind.log is not None:
        # An operator sees both servers, and that the first one gave no answer.
        (line,) = [line for line in behind.log.read_text().splitlines() if '"DELETE ' in line]
        assert line.endswith(" [502, 404]"), line
        assert all(f"127.0.0.1:{port}" in line for port in behind.ways.ports), line


async def test_what_only_reads_is_repeated_unseen(behind: Behind) -> None:
    behind.ways.lose_next = True
    answer = await behind.api.get("/api-keys?limit=17", bearer=behind.session.token)
    assert was_repeated(answer)
    accepted(answer)
    if behind.log is not None:
        # Never a query: it may hold the code of a mailed link.
        assert "limit=17" not in behind.log.read_text()


async def test_what_makes_something_is_never_repeated(behind: Behind) -> None:
    behind.ways.lose_next = True
    body = {"name": "made once"}
    answer = await behind.api.post("/api-keys", body, bearer=behind.session.token)
    assert (answer.status_code, was_repeated(answer)) == (502, False)
    keys = await listed_keys(behind.api, behind.session)
    assert [key["name"] for key in keys].count("made once") == 1


async def test_server_that_takes_no_connection_is_passed_over(behind: Behind) -> None:
    behind.listening[0].close()
    for _ in range(2):
        made = await behind.api.post("/api-keys", {"name": "passed over"}, bearer=behind.session.token)
        accepted(made, 201)
        assert not was_repeated(made)
    keys = await listed_keys(behind.api, behind.session)
    assert [key["name"] for key in keys].count("passed over") == 2
