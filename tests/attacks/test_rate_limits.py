"""Floods, against a server of their own whose coarse limits are on (S25)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from czo_auth.crypto import tokens
from tests.attacks.conftest import scattering_client
from tests.contract.api import Api
from tests.contract.checks import refused
from tests.support.server import RunningServer
from tests.support.settings import KEY

pytestmark = pytest.mark.deep


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    directory: Path = tmp_path_factory.mktemp("limited")
    env = {"AUTH_ENCRYPTION_KEY": KEY, "CZO_AUTH_HASH_THREADS": "1", "CZO_AUTH_HASH_QUEUE": "4"}
    server = RunningServer(directory, env=env, weak_hashes=True)
    server.start()
    yield server
    server.stop()


async def flood(
    server: RunningServer, path: str, body: Mapping[str, object], times: int, **headers: str
) -> list[httpx.Response]:
    async with scattering_client(server.url) as http:
        api = Api(http)
        few = asyncio.Semaphore(2)

        async def one(number: int) -> httpx.Response:
            async with few:
                reported = {name: text.format(number % 250) for name, text in headers.items()}
                return await api.post(path, body, headers=reported)

        return list(await asyncio.gather(*[one(number) for number in range(times)]))


async def test_mail_flood_at_one_account(limited: RunningServer) -> None:
    answers = await flood(limited, "/request-password-reset", {"email": "victim@example.com"}, 12)
    late = [answer for answer in answers if answer.status_code == 429]
    assert len(late) == 2
    refused(late[0], 429, "TOO_MANY_REQUESTS")


async def test_mail_flood_under_other_spellings_of_the_address(limited: RunningServer) -> None:
    async with scattering_client(limited.url) as http:
        answers = [
            await Api(http).post("/send-verification-email", {"email": email})
            for email in ["spelled@example.com", "SPELLED@example.com", "Spelled@Example.COM"] * 4
        ]
    assert [answer.status_code for answer in answers].count(429) == 2


async def test_mail_flood_from_made_up_addresses(limited: RunningServer) -> None:
    """A peer that is no trusted proxy does not say whom it forwards for."""
    headers = {
        "x-forwarded-for": "198.51.100.{}",
        "forwarded": "for=198.51.100.{}",
        "x-real-ip": "198.51.100.{}",
    }
    many: list[httpx.Response] = []
    async with scattering_client(limited.url) as http:
        for number in range(90):
            reported = {name: text.format(number) for name, text in headers.items()}
            body = {"email": f"nobody-{number}@example.com"}
            many.append(await Api(http).post("/request-password-reset", body, headers=reported))
    assert [answer.status_code for answer in many].count(429) >= 20


async def test_flood_of_reported_keys(limited: RunningServer) -> None:
    body = {"key": tokens.new_token("czo_")}
    answers = await flood(limited, "/api-keys/report-leak", body, 64)
    late = [answer for answer in answers if answer.status_code == 429]
    assert 3 <= len(late) <= 4
    refused(late[0], 429, "TOO_MANY_REQUESTS")
    malformed = await flood(limited, "/api-keys/report-leak", {"key": "czo_short"}, 1)
    refused(malformed[0], 429, "TOO_MANY_REQUESTS")


async def test_hashing_flood_costs_latency_and_not_the_service(limited: RunningServer) -> None:
    """Beyond what may wait the answer is 429; meanwhile everything else goes on."""
    body = {"email": "nobody@example.com", "password": "some password"}
    async with scattering_client(limited.url) as http:
        api = Api(http)
        flood = [asyncio.create_task(api.post("/sign-in/email", body)) for _ in range(40)]
        health = [await http.get("/healthz") for _ in range(5)]
        statuses = [answer.status_code for answer in await asyncio.gather(*flood)]
    assert {answer.status_code for answer in health} == {200}
    assert set(statuses) == {401, 429}
    assert statuses.count(429) >= 10


async def test_guessing_one_password_for_ever(limited: RunningServer) -> None:
    """One account, whatever addresses the guesser claims to have: a peer that is no trusted proxy says nothing."""
    body = {"email": "guessed@example.com", "password": "some password"}
    reported = {"x-forwarded-for": "198.51.100.{}"}
    answers = await flood(limited, "/sign-in/email", body, 40, **reported)
    codes = [answer.json()["code"] for answer in answers]
    assert codes.count("TOO_MANY_REQUESTS") >= 15
    assert set(codes) == {"TOO_MANY_REQUESTS", "INVALID_EMAIL_OR_PASSWORD"}
