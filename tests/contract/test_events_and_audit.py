"""Events and the audit log (docs/reference/events.md; S20, S34, S35)."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from czo_auth import Auth
from czo_auth.core.events.chain import verify_chain
from czo_auth.core.events.types import AuditRecord, Event
from tests.contract.acting import (
    UNKNOWN,
    change_actor_types,
    create_key,
    eventually,
    found,
    join,
    listed_keys,
)
from tests.contract.api import Api, new_client
from tests.contract.checks import MOMENT, UUID7, accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.database import everything, is_sqlite, sql
from tests.contract.databases import Databases, SqliteDatabases
from tests.contract.deployments import Deployment, Timed, settings
from tests.contract.people import PASSWORD, People, Session

TYPES = {
    *("auth.2fa.enabled", "auth.2fa.disabled", "auth.2fa.backup_code_used"),
    *("auth.2fa.backup_codes_regenerated", "auth.2fa.locked"),
    *("auth.apikey.created", "auth.apikey.revoked", "auth.apikey.rotated", "auth.apikey.leaked"),
    *("auth.user.registered", "auth.user.updated", "auth.user.banned"),
    *("auth.session.created", "auth.session.revoked", "auth.refresh.reuse_detected"),
    *("auth.org.created", "auth.org.member_added", "auth.org.member_removed", "auth.role.changed"),
}
"""All that section 9 names, and what became of leaked keys."""


@dataclass
class Outbox:
    """What a deployment recorded, read from where it waits for delivery."""

    here: Deployment
    _read: int = 0

    async def events(self) -> list[Event]:
        """Give the events since the last call, in the order of the commits."""
        after = self._read
        events = await self.here.auth.services.transactions.read(
            lambda tx: list(tx.outbox.events_after(after, limit=100_000))
        )
        self._read = events[-1].sequence if events else after
        return events

    async def types(self) -> Counter[str]:
        """Count the types of the events since the last call."""
        return Counter(event.type for event in await self.events())

    async def skip(self) -> None:
        await self.events()


@pytest.fixture
async def outbox(timed: Timed) -> Outbox:
    outbox = Outbox(timed)
    await outbox.skip()
    return outbox


async def audit_of(here: Deployment) -> list[AuditRecord]:
    return await here.auth.services.transactions.read(
        lambda tx: list(tx.audit_log.audit_after(0, limit=100_000))
    )


# --- every type, by its act, once ------------------------------------------------------------------------------------
async def test_signing_up_in_and_out(timed: Timed, outbox: Outbox) -> None:
    account = await timed.people.sign_up()
    (event,) = await outbox.events()
    assert (event.type, event.user_id, event.data["userId"]) == (
        "auth.user.registered",
        account.id,
        account.id,
    )
    assert event.data["actorTypes"] == ["customer"]
    session = await timed.people.sign_in(account)
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.session.created", account.id)
    assert event.data == {
        "userId": account.id,
        "sessionId": session.id,
        "actorType": "customer",
        "amr": ["pwd"],
    }
    for _ in range(2):
        accepted(await timed.api.post("/sign-out", {}, bearer=session.token))
    (event,) = await outbox.events()
    assert (event.type, event.data["sessionId"]) == ("auth.session.revoked", session.id)
    await timed.people.sign_up("merchant", organizationName="Acme")
    assert await outbox.types() == {
        "auth.user.registered": 1,
        "auth.org.created": 1,
        "auth.org.member_added": 1,
    }


async def test_profile_and_password(timed: Timed, outbox: Outbox) -> None:
    account, session = await timed.people.newcomer()
    other = await timed.people.sign_in(account)
    await outbox.skip()
    accepted(await timed.api.post("/update-user", {"name": "Grace"}, bearer=session.token))
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.user.updated", account.id)
    change = {"currentPassword": account.password, "newPassword": PASSWORD[::-1]}
    accepted(await timed.api.post("/change-password", change, bearer=session.token))
    events = await outbox.events()
    assert Counter(event.type for event in events) == {
        "auth.session.revoked": 2,
        "auth.session.created": 1,
        "auth.user.updated": 1,
    }
    ended = {event.data["sessionId"] for event in events if event.type == "auth.session.revoked"}
    assert ended == {session.id, other.id}


async def test_second_factor(timed: Timed, outbox: Outbox) -> None:
    account, session = await timed.people.newcomer()
    await timed.people.sign_in(account)
    await outbox.skip()
    await timed.people.enable(account, session)
    assert await outbox.types() == {}
    session = Session.of(await timed.people.verify(account.has.code(), bearer=session.token))
    events = await outbox.events()
    assert Counter(event.type for event in events) == {
        "auth.session.revoked": 2,
        "auth.session.created": 1,
        "auth.2fa.enabled": 1,
    }
    (enabled,) = (event for event in events if event.type == "auth.2fa.enabled")
    assert (enabled.user_id, enabled.data["actorType"]) == (account.id, "customer")
    # Sign-in with a backup code: used, and a session, and nothing more.
    challenge = await timed.people.challenge(account)
    refused(
        await timed.people.redeem("0000-00000-00000-0000", challenge=challenge), 401, "INVALID_BACKUP_CODE"
    )
    assert await outbox.types() == {}
    accepted(await timed.people.redeem(account.codes[0], challenge=challenge))
    refused(
        await timed.people.redeem(account.codes[0], challenge=challenge), 401, "INVALID_TWO_FACTOR_COOKIE"
    )
    assert await outbox.types() == {"auth.2fa.backup_code_used": 1, "auth.session.created": 1}
    body = {"password": account.password}
    accepted(await timed.api.post("/two-factor/generate-backup-codes", body, bearer=session.token))
    assert await outbox.types() == {"auth.2fa.backup_codes_regenerated": 1}
    accepted(await timed.api.post("/two-factor/disable", body, bearer=session.token))
    assert await outbox.types() == {"auth.2fa.disabled": 1, "auth.session.revoked": 1}


async def test_lock_of_second_factors(timed: Timed, outbox: Outbox) -> None:
    for _ in range(2):
        challenge = await timed.people.challenge(timed.carol)
        for _ in range(5):
            wrong = await timed.people.verify(timed.carol.has.wrong(), challenge=challenge)
            refused(wrong, 401, "INVALID_CODE")
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.2fa.locked", timed.carol.id)
    challenge = await timed.people.challenge(timed.carol)
    locked = await timed.people.verify(timed.carol.has.code(), challenge=challenge)
    refused(locked, 429, "ACCOUNT_TEMPORARILY_LOCKED")
    assert await outbox.types() == {}


async def test_reuse_of_a_refresh_token(timed: Timed, outbox: Outbox) -> None:
    account, session = await timed.people.newcomer()
    await outbox.skip()
    body = {"refreshToken": session.refresh_token}
    accepted(await timed.api.post("/token/refresh", body))
    assert await outbox.types() == {}
    timed.time.advance(seconds=11)
    for _ in range(2):
        refused(await timed.api.post("/token/refresh", body), 401, "INVALID_REFRESH_TOKEN")
    events = await outbox.events()
    assert [event.type for event in events] == ["auth.refresh.reuse_detected", "auth.session.revoked"]
    assert {(event.user_id, event.data["sessionId"]) for event in events} == {(account.id, session.id)}


async def test_api_keys(timed: Timed, outbox: Outbox) -> None:
    account, session = await timed.people.newcomer("merchant")
    organization = await found(timed.api, session)
    await outbox.skip()
    key = await create_key(timed.api, session, organizationId=organization, name="ci")
    described = {
        "userId": account.id,
        "organizationId": organization,
        "actorType": "merchant",
        "apiKeyId": key["id"],
        "prefix": key["prefix"],
    }
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.apikey.created", account.id)
    assert {name: event.data[name] for name in described} == described
    accepted(await timed.api.patch(f"/api-keys/{key['id']}", {"name": "x"}, bearer=session.token))
    assert await outbox.types() == {}
    rotated = await timed.api.post(
        f"/api-keys/{key['id']}/rotate", {"overlapSeconds": 60}, bearer=session.token
    )
    new = accepted(rotated, 201)["apiKey"]
    (event,) = await outbox.events()
    assert event.type == "auth.apikey.rotated"
    assert {name: event.data[name] for name in described} == described | {
        "apiKeyId": new["id"],
        "prefix": new["prefix"],
    }
    accepted(await timed.api.delete(f"/api-keys/{key['id']}", bearer=session.token), 204)
    refused(await timed.api.delete(f"/api-keys/{key['id']}", bearer=session.token), 404, "NOT_FOUND")
    (event,) = await outbox.events()
    assert event.type == "auth.apikey.revoked"
    assert {name: event.data[name] for name in described} == described


async def test_administration(timed: Timed, outbox: Outbox) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    account, session = await timed.people.newcomer()
    await timed.people.sign_in(account)
    keys = [await create_key(timed.api, session) for _ in range(2)]
    await outbox.skip()
    user = f"/admin/users/{account.id}"
    for _ in range(2):
        accepted(await timed.api.post(f"{user}/actor-types", {"add": ["merchant"]}, bearer=admin.token))
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.role.changed", account.id)
    for _ in range(2):
        accepted(await timed.api.post(f"{user}/ban", {"reason": "fraud"}, bearer=admin.token))
    events = await outbox.events()
    assert Counter(event.type for event in events) == {
        "auth.user.banned": 1,
        "auth.session.revoked": 2,
        "auth.apikey.revoked": 2,
    }
    assert {event.user_id for event in events} == {account.id}
    revoked = {event.data.get("apiKeyId") for event in events} - {None}
    assert revoked == {key["id"] for key in keys}
    reset = f"/admin/users/{timed.carol.id}/two-factor"
    accepted(await timed.api.delete(reset, {"reason": "lost"}, bearer=admin.token), 204)
    # The session in which carol turned it on is still alive.
    assert await outbox.types() == {"auth.2fa.disabled": 1, "auth.session.revoked": 1}


async def test_organizations(timed: Timed, outbox: Outbox) -> None:
    api = timed.api
    _, owner = await timed.people.newcomer()
    account, session = await timed.people.newcomer()
    await outbox.skip()
    organization = await found(api, owner)
    assert await outbox.types() == {"auth.org.created": 1, "auth.org.member_added": 1}
    await join(api, owner, organization, (account, session))
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.org.member_added", account.id)
    assert event.data["organizationId"] == organization
    member = f"/organizations/{organization}/members/{account.id}"
    for _ in range(2):
        accepted(await api.patch(member, {"role": "viewer"}, bearer=owner.token))
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.role.changed", account.id)
    assert event.data["organizationId"] == organization
    accepted(await api.delete(member, {"confirm": True}, bearer=owner.token), 204)
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.org.member_removed", account.id)
    accepted(await api.delete(f"/organizations/{organization}", bearer=owner.token), 204)
    assert await outbox.types() == {"auth.org.member_removed": 1}


# --- in the transaction of the change --------------------------------------------------------------------------------
async def test_refused_acts_leave_no_event(deploy: Deploy) -> None:
    timed = await deploy(api_key_limit=1)
    outbox = Outbox(timed)
    account, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    accepted(await timed.api.post(f"/api-keys/{key['id']}/rotate", {}, bearer=session.token), 201)
    await outbox.skip()
    for method, path, body in (
        ("POST", "/api-keys", {"name": "over the limit"}),
        ("POST", "/api-keys", {"name": "x", "organizationId": UNKNOWN}),
        ("POST", "/api-keys", {"name": "x", "scopes": ["admin:x"]}),
        ("POST", f"/api-keys/{key['id']}/rotate", {}),
        ("DELETE", f"/api-keys/{UNKNOWN}", {}),
        ("POST", "/change-password", {"currentPassword": "wrong one", "newPassword": "a new password"}),
        ("POST", "/two-factor/disable", {"password": account.password}),
        ("POST", "/switch-actor", {"actorType": "admin"}),
        ("POST", f"/admin/users/{account.id}/ban", {"reason": "myself"}),
        ("POST", "/customer/sign-up", {"email": account.email, "password": PASSWORD, "name": "Twin"}),
        ("POST", "/customer/sign-in/email", {"email": account.email, "password": "wrong one"}),
    ):
        answer = await timed.api.call(method, path, body, bearer=session.token)
        assert answer.status_code in (400, 401, 403, 404, 409, 422), path
    assert await outbox.types() == {}


FAIL_ON = {
    "sqlite": "CREATE TRIGGER fails BEFORE INSERT ON {}%s BEGIN SELECT RAISE(ABORT, 'no'); END",
    "postgresql": "CREATE TRIGGER fails BEFORE INSERT ON {}%s EXECUTE FUNCTION fail()",
}


@pytest.mark.parametrize("table", ["events", "audit", "api_keys"])
async def test_change_and_event_are_committed_together_or_not_at_all(timed: Timed, table: str) -> None:
    url = timed.auth.settings.storage_url
    outbox = Outbox(timed)
    _, session = await timed.people.newcomer()
    kept = await create_key(timed.api, session)
    await outbox.skip()
    audited = len(await audit_of(timed))
    if not is_sqlite(url):
        await sql(
            url,
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$",
        )
    await sql(url, FAIL_ON[timed.auth.storage.dialect] % table)
    answers = [
        await timed.api.post("/api-keys", {"name": "half"}, bearer=session.token),
        await timed.api.post(f"/api-keys/{kept['id']}/rotate", {}, bearer=session.token),
    ]
    if table != "api_keys":
        answers.append(await timed.api.delete(f"/api-keys/{kept['id']}", bearer=session.token))
    for answer in answers:
        refused(answer, 503, "SERVICE_UNAVAILABLE")
    await sql(url, "DROP TRIGGER fails" + ("" if is_sqlite(url) else f" ON {{}}{table}"))
    (left,) = await listed_keys(timed.api, session)
    assert (left["id"], left["rotatedAt"]) == (kept["id"], None)
    assert await outbox.types() == {}
    assert len(await audit_of(timed)) == audited
    # And it continues, without a restart.
    await create_key(timed.api, session)
    assert await outbox.types() == {"auth.apikey.created": 1}


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

    await eventually(is_delivered, within=30)
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

    await eventually(is_delivered, within=30)
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

    await eventually(is_delivered, within=30)
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


# --- the audit log ---------------------------------------------------------------------------------------------------
async def test_every_event_has_an_audit_record(timed: Timed) -> None:
    outbox = Outbox(timed)
    account, session = await timed.people.newcomer()
    await create_key(timed.api, session)
    await change_actor_types(timed, account, add=["merchant"])
    records = {record.id: record for record in await audit_of(timed)}
    events = await outbox.events()
    assert events
    for event in events:
        record = records[event.id]
        assert (record.audit_event.action, record.audit_event.user_id, record.at) == (
            event.type,
            event.user_id,
            event.at,
        )


async def test_records_written_at_once_by_several_processes_are_one_chain(live: Live) -> None:
    people = await asyncio.gather(*(live.people.newcomer() for _ in range(4)))

    async def bustle(session: Session) -> None:
        for _ in range(4):
            key = await create_key(live.api, session)
            accepted(await live.api.delete(f"/api-keys/{key['id']}", bearer=session.token), 204)

    await asyncio.gather(*(bustle(session) for _, session in people for _ in range(2)))
    records = await audit_of(live)
    assert [record.sequence for record in records] == list(range(1, len(records) + 1))
    assert verify_chain(records) is None
    assert len({record.id for record in records}) == len(records)
    events = await Outbox(live).events()
    order = {record.id: record.sequence for record in records}
    assert [order[event.id] for event in events] == sorted(order[event.id] for event in events)


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE {}audit SET outcome = 'denied' WHERE sequence = 3",
        "UPDATE {}audit SET actor_user_id = 'x' WHERE sequence = 3",
        'UPDATE {}audit SET details = \'{"reason": "other"}\' WHERE sequence = 3',
        "UPDATE {}audit SET at = at + 1 WHERE sequence = 3",
        "UPDATE {}audit SET ip = NULL WHERE sequence = 3",
        "UPDATE {}audit SET previous_hash = hash WHERE sequence = 3",
        "DELETE FROM {}audit WHERE sequence = 2",
    ],
)
async def test_forged_record_breaks_the_chain_where_it_stands(timed: Timed, forgery: str) -> None:
    await timed.people.newcomer()
    assert verify_chain(await audit_of(timed)) is None
    await sql(timed.auth.settings.storage_url, forgery)
    assert verify_chain(await audit_of(timed)) == 3


async def test_every_type_of_the_contract_is_known_and_none_beside(databases: Databases) -> None:
    auth = Auth(settings(databases.new()))
    for event_type in TYPES:
        auth.on(event_type)
    for other in ("auth.user.unbanned", "auth.apikey.changed", "auth.sign_in"):
        with pytest.raises(ValueError, match="no event is called"):
            auth.on(other)
    await auth.stop()
