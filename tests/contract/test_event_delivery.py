"""How events reach files and subscribers, and that neither they nor anything stored holds a secret."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from czo_auth import Auth
from czo_auth.core.events.types import Event
from tests.contract.acting import (
    create_key,
    eventually,
)
from tests.contract.api import Api, new_client
from tests.contract.checks import MOMENT, UUID7, accepted
from tests.contract.conftest import Live
from tests.contract.database import everything
from tests.contract.databases import SqliteDatabases
from tests.contract.outbox import TYPES, Outbox
from tests.contract.people import People, Session
from tests.support.settings import settings


# --- delivery --------------------------------------------------------------------------------------------------------
async def test_file_gets_every_event_as_a_cloudevent_in_order(live: Live) -> None:
    account, session = await live.people.newcomer()
    made = await asyncio.gather(*(create_key(live.api, session, name=str(number)) for number in range(8)))
    for key in made:
        accepted(await live.api.delete(f"/api-keys/{key['id']}", bearer=session.token), 204)
    recorded = [event for event in await Outbox(live).events() if event.user_id == account.id]
    assert len(recorded) == 2 + 8 + 8

    async def is_delivered() -> bool:
        return len(_lines_about(live.served.events_file, account.id)) >= len(recorded)

    await eventually(is_delivered, within=60)
    lines = _lines_about(live.served.events_file, account.id)
    assert [line["id"] for line in lines] == [event.id for event in recorded]
    for line, event in zip(lines, recorded, strict=True):
        assert line == {
            "specversion": "1.0",
            "id": event.id,
            "source": live.served.server.url.replace("127.0.0.1", "localhost"),
            "type": event.type,
            "subject": account.id,
            "time": line["time"],
            "datacontenttype": "application/json",
            "sequence": f"{event.sequence:020d}",
            "data": event.data,
        }
        assert MOMENT.fullmatch(line["time"])
        assert UUID7.fullmatch(line["id"])
        assert line["type"] in TYPES
        assert line["data"]["userId"] == account.id
    created = [line["data"]["apiKeyId"] for line in lines if line["type"] == "auth.apikey.created"]
    assert sorted(created) == sorted(key["id"] for key in made)
    assert live.served.events_file.stat().st_mode & 0o077 == 0


def _lines_about(file: Path, user_id: str) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    found: list[dict[str, Any]] = [json.loads(line) for line in file.read_bytes().splitlines()]
    return [event for event in found if event.get("subject") == user_id]


@pytest.fixture
async def subscribed(
    sqlite_databases: SqliteDatabases,
) -> AsyncIterator[Callable[[Callable[[Auth], None]], Awaitable[tuple[Api, People]]]]:
    """Run deployments to which a host subscribes before they start."""
    running: list[tuple[Auth, httpx.AsyncClient]] = []

    async def run(subscribe: Callable[[Auth], None]) -> tuple[Api, People]:
        auth = Auth(settings(sqlite_databases.new()))
        subscribe(auth)
        http = new_client(auth.settings.public_url, transport=httpx.ASGITransport(auth.app))
        running.append((auth, http))
        await auth.start()
        api = Api(http)
        return api, People(api, clock=auth.now)

    yield run
    for auth, http in running:
        await http.aclose()
        await auth.stop()


async def test_subscribers_of_the_host_get_what_they_asked_for(subscribed: Any) -> None:
    got: dict[str, list[Event]] = {"keys": [], "one": [], "all": []}

    def subscribe(auth: Auth) -> None:
        @auth.on("auth.apikey.*")
        async def keys(event: Event) -> None:
            got["keys"].append(event)

        @auth.on("auth.apikey.revoked")
        def one(event: Event) -> None:
            got["one"].append(event)

        @auth.on("*")
        async def all_of_them(event: Event) -> None:
            got["all"].append(event)

        with pytest.raises(ValueError, match=r"auth\.apikey\.created"):
            auth.on("auth.apikey.create")

    api, people = await subscribed(subscribe)
    account, session = await people.newcomer()
    key = await create_key(api, session)
    accepted(await api.delete(f"/api-keys/{key['id']}", bearer=session.token), 204)

    async def is_delivered() -> bool:
        return any(event.type == "auth.apikey.revoked" for event in got["all"])

    await eventually(is_delivered, within=60)
    about_keys = ["auth.apikey.created", "auth.apikey.revoked"]
    assert [event.type for event in got["keys"]] == about_keys
    assert [event.type for event in got["one"]] == about_keys[1:]
    own = [event.type for event in got["all"] if event.user_id == account.id]
    assert own == ["auth.user.registered", "auth.session.created", *about_keys]
    assert all(event.data["userId"] == account.id for event in got["keys"])


# --- secrets ---------------------------------------------------------------------------------------------------------
async def test_nothing_that_was_secret_is_kept_or_reported(live: Live) -> None:
    account, session = await live.people.newcomer()
    secrets = [account.password, session.token, session.refresh_token, session.access_token]
    key = await create_key(live.api, session)
    rotated = accepted(
        await live.api.post(f"/api-keys/{key['id']}/rotate", {"overlapSeconds": 60}, bearer=session.token),
        201,
    )["apiKey"]
    secrets += [key["key"], rotated["key"]]
    await live.api.get("/whoami", bearer=key["key"])
    # Where a careless server would write it down: query, path, wrong header, wrong body.
    for careless in (
        live.api.get(f"/whoami?api_key={key['key']}&token={session.token}"),
        live.api.get(f"/api-keys/{key['key']}", bearer=session.token),
        live.api.get("/whoami", headers={"x-api-key": key["key"]}),
        live.api.post("/api-keys", {"name": key["key"][:-1], "key": key["key"]}, bearer=session.token),
        live.api.post("/customer/sign-in/email", {"email": account.email, "password": key["key"]}),
        live.api.get("/whoami", headers={"authorization": f"Bearer {key['key']} {key['key']}"}),
        live.api.get("/whoami", bearer=key["key"][:-1] + "B"),
    ):
        await careless
    shown = await live.people.enable(account, session)
    renewed = Session.of(await live.people.verify(account.has.code(), bearer=session.token))
    challenge = await live.people.challenge(account)
    accepted(await live.people.redeem(account.codes[0], challenge=challenge))
    secrets += [shown["secret"], *account.codes, challenge, renewed.token, renewed.refresh_token]
    (last,) = [event for event in await Outbox(live).events() if event.user_id == account.id][-1:]

    async def is_delivered() -> bool:
        return last.id in live.served.events_file.read_text()

    await eventually(is_delivered, within=60)
    places = {
        "database": await everything(live.served.database_url),
        "events": live.served.events_file.read_text(),
        "output": live.served.server.output(),
    }
    for place, text in places.items():
        assert last.id in text or place == "output"
        for secret in secrets:
            # The prefix of a token is not a secret; what follows is.
            bare = re.sub(r"^cz[a-z]_", "", secret)
            assert bare not in text, f"a secret is in the {place}"
            assert bare.replace("-", "") not in text, f"a secret is in the {place}"
