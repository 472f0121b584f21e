"""HostApi by a key: what is refused in one way, what a key never reaches, and when it was last used (section 5)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from czo_auth.crypto import tokens
from tests.contract.acting import (
    UNKNOWN,
    administrator,
    change_actor_types,
    create_key,
    create_organization,
    eventually,
    is_accepted,
    join,
    listed_keys,
    principal_of,
)
from tests.contract.api import NO_BODY, Answer, Api
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.database import sql
from tests.contract.deployments import Timed
from tests.contract.keys import moment
from tests.contract.people import Session

MALFORMED = (
    "czo_",
    "czo_" + "A" * 42,
    "czo_" + "A" * 44,
    "czo_" + "A" * 42 + "B",
    "czo_" + "A" * 42 + "=",
    "czo_" + "+" + "A" * 42,
    "czo_" + "A" * 20 + "." + "A" * 22,
    "czo_a.b.c",
    "czo_czo_" + "A" * 43,
    "czo_" + "A" * 4000,
)


def alike(answers: list[Answer]) -> None:
    """Demand that nothing but the time tells *answers* apart."""
    first = answers[0]
    for answer in answers:
        refused(answer, 401, "INVALID_API_KEY")
        assert answer.content == first.content
        assert dict(answer.headers) | {"date": ""} == dict(first.headers) | {"date": ""}


async def test_all_dead_keys_get_one_answer(live: Live) -> None:
    api = live.api
    _, admin = await administrator(live)
    _, founder = await live.people.newcomer()
    account, session = await live.people.newcomer()
    banned, banned_session = await live.people.newcomer()
    acme, gone = await create_organization(api, founder), await create_organization(api, founder)
    for organization in (acme, gone):
        await join(api, founder, organization, (account, session))
    keys = {
        "revoked": await create_key(api, session),
        "disabled": await create_key(api, session),
        "expired": await create_key(api, session, expiresIn=3600),
        "rotated": await create_key(api, session),
        "of a banned owner": await create_key(api, banned_session),
        "of somebody who left": await create_key(api, session, organizationId=acme),
        "of an organization that is gone": await create_key(api, session, organizationId=gone),
    }
    for key in keys.values():
        assert await is_accepted(api, key["key"])
    await sql(
        live.served.database_url,
        "UPDATE {}api_keys SET expires_at = 1 WHERE id = $1",
        keys["expired"]["id"],
    )

    def at(name: str) -> str:
        return f"/api-keys/{keys[name]['id']}"

    accepted(await api.delete(at("revoked"), bearer=session.token), 204)
    accepted(await api.patch(at("disabled"), {"enabled": False}, bearer=session.token))
    accepted(await api.post(at("rotated") + "/rotate", {}, bearer=session.token), 201)
    accepted(await api.post(f"/admin/users/{banned.id}/ban", {"reason": "test"}, bearer=admin.token))
    member = f"/organizations/{acme}/members/{account.id}"
    accepted(await api.delete(member, {"confirm": True}, bearer=session.token), 204)
    accepted(await api.delete(f"/organizations/{gone}", bearer=founder.token), 204)
    texts = [key["key"] for key in keys.values()]
    texts += [tokens.new_token("czo_"), texts[0][:-1] + "B", texts[0] + "A", texts[0].swapcase()[4:] + "A"]
    texts[-1] = "czo_" + texts[-1]
    alike([await api.get("/whoami", bearer=text) for text in [*texts, *MALFORMED]])
    alike([await api.get("/session", bearer=text) for text in texts])


async def test_malformed_key_is_refused_without_a_look_into_the_database(
    timed_sqlite: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    lookup = timed_sqlite.auth.storage.lookup
    find = lookup.find_api_key

    async def noted(digest: str) -> Any:
        asked.append(digest)
        return await find(digest)

    monkeypatch.setattr(lookup, "find_api_key", noted)
    for text in MALFORMED:
        refused(await timed_sqlite.api.get("/whoami", bearer=text), 401, "INVALID_API_KEY")
    assert asked == []
    unknown = tokens.new_token("czo_")
    refused(await timed_sqlite.api.get("/whoami", bearer=unknown), 401, "INVALID_API_KEY")
    assert asked == [tokens.digest(unknown)]


# --- what a key never reaches (S16) ----------------------------------------------------------------------------------
CLOSED = (
    *(
        "GET /two-factor",
        "POST /two-factor/enable",
        "POST /two-factor/verify",
        "POST /two-factor/verify-totp",
    ),
    *("POST /two-factor/verify-backup-code", "POST /two-factor/generate-backup-codes"),
    *("POST /two-factor/disable", "POST /two-factor/get-totp-uri"),
    *("GET /api-keys", "POST /api-keys", f"GET /api-keys/{UNKNOWN}", f"PATCH /api-keys/{UNKNOWN}"),
    *(f"DELETE /api-keys/{UNKNOWN}", f"POST /api-keys/{UNKNOWN}/rotate"),
    *("POST /api-key/create", "GET /api-key/list", f"GET /api-key/get?id={UNKNOWN}", "POST /api-key/update"),
    *("POST /api-key/delete", "POST /change-password", "POST /update-user"),
    *("GET /session", "GET /sessions", "DELETE /sessions", f"DELETE /sessions/{UNKNOWN}"),
    *("POST /revoke-session", "POST /revoke-sessions", "POST /revoke-other-sessions", "GET /list-sessions"),
    *("POST /switch-actor",),
    *("GET /admin/users", f"POST /admin/users/{UNKNOWN}/ban", f"POST /admin/users/{UNKNOWN}/unban"),
    *(f"POST /admin/users/{UNKNOWN}/actor-types", f"DELETE /admin/users/{UNKNOWN}/two-factor"),
    *(f"GET /admin/users/{UNKNOWN}/api-keys", f"DELETE /admin/api-keys/{UNKNOWN}", "GET /admin/audit"),
    *("POST /organizations", f"PATCH /organizations/{UNKNOWN}", f"DELETE /organizations/{UNKNOWN}"),
    *(f"POST /organizations/{UNKNOWN}/activate", f"POST /organizations/{UNKNOWN}/invitations"),
    *(f"DELETE /organizations/{UNKNOWN}/invitations/{UNKNOWN}", "POST /invitations/accept"),
    *(f"GET /organizations/{UNKNOWN}/invitations", "GET /organization/list-invitations"),
    *(
        f"PATCH /organizations/{UNKNOWN}/members/{UNKNOWN}",
        f"DELETE /organizations/{UNKNOWN}/members/{UNKNOWN}",
    ),
    *("POST /organization/create", "POST /organization/set-active", "POST /organization/leave"),
)


async def test_account_routes_are_closed_to_keys_whatever_scopes_they_have(live_sqlite: Live) -> None:
    api = live_sqlite.api
    _, customer = await live_sqlite.people.newcomer()
    _, admin = await administrator(live_sqlite)
    keys = [
        await create_key(api, customer, scopes=["orders:read"]),
        await create_key(api, admin, scopes=["admin:users", "api-keys:verify", "sessions:write"]),
    ]
    for route in CLOSED:
        method, path = route.split(" ")
        for key in keys:
            answer = await api.call(method, path, {} if method != "GET" else NO_BODY, bearer=key["key"])
            refused(answer, 403, "SESSION_REQUIRED")


async def test_fields_about_sessions_and_keys_are_closed_to_keys(live_sqlite: Live) -> None:
    account, session = await live_sqlite.people.newcomer()
    key = await create_key(live_sqlite.api, session)
    for field, code in (("mySessions { id }", "SESSION_REQUIRED"), ("myApiKeys { id }", "SESSION_REQUIRED")):
        answer = await live_sqlite.api.http.post(
            "/graphql",
            json={"query": f"{{ {field} }}"},
            headers={"authorization": f"Bearer {key['key']}"},
        )
        assert answer.status_code == 200, answer.text
        assert [error["extensions"]["code"] for error in answer.json()["errors"]] == [code]
    answer = await live_sqlite.api.http.post(
        "/graphql",
        json={"query": "{ me { id } }"},
        headers={"authorization": f"Bearer {key['key']}"},
    )
    assert answer.json() == {"data": {"me": {"id": account.id}}}


# --- mandatory second factor (S9) ------------------------------------------------------------------------------------
async def test_key_of_somebody_who_must_have_a_second_factor_and_has_none_is_refused_everywhere(
    timed: Timed,
) -> None:
    account, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    assert await is_accepted(timed.api, key["key"])
    await timed.promote(account)
    for path in ("/whoami", "/organizations", "/session", "/two-factor", "/jwks"):
        answer = await timed.api.get(path, bearer=key["key"])
        refused(answer, 403, "TWO_FACTOR_SETUP_REQUIRED")
    await timed.people.enroll(account, session)
    assert await is_accepted(timed.api, key["key"])


async def test_lost_actor_type_or_new_factor_makes_the_key_good_again(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    await timed.promote(account)
    refused(await timed.api.get("/whoami", bearer=key["key"]), 403, "TWO_FACTOR_SETUP_REQUIRED")
    await change_actor_types(timed, account, remove=["admin"])
    assert await is_accepted(timed.api, key["key"])


# --- last use (S19) --------------------------------------------------------------------------------------------------
async def last_used(api: Api, session: Session) -> Any:
    (key,) = await listed_keys(api, session)
    return key["lastUsedAt"]


async def test_last_use_is_written_beside_the_requests(live: Live) -> None:
    _, session = await live.people.newcomer()
    key = await create_key(live.api, session)
    assert await last_used(live.api, session) is None
    before = live.clock()
    answer = await live.api.get("/whoami", bearer=key["key"])
    after = live.clock()
    accepted(answer)

    async def is_written() -> bool:
        return await last_used(live.api, session) is not None

    await eventually(is_written, within=60, every=0.1)
    margin = timedelta(milliseconds=1)
    assert moment(before - margin) <= await last_used(live.api, session) <= moment(after)


async def test_last_use_moves_at_most_once_a_minute_and_never_back(deploy: Deploy) -> None:
    timed = await deploy()
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    began = timed.time.now
    for seconds, expected in ((0, 0), (30, 0), (59, 0), (60, 60), (119.999, 60), (-3600, 60), (120, 120)):
        timed.time.now = began + timedelta(seconds=seconds)
        # Twice, so that it is proved once and remembered once.
        for _ in range(2):
            await principal_of(timed.api, key["key"])
        await flush(timed)
        assert await last_used(timed.api, session) == moment(began + timedelta(seconds=expected)), seconds


async def test_last_use_moves_once_a_minute_however_many_processes_see_it(deploy: Deploy) -> None:
    timed = await deploy()
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    began = timed.time.now
    await principal_of(timed.api, key["key"])
    await flush(timed)
    # Another process, or this one started again: it knows only what the database says.
    other = await deploy(timed.auth.settings.storage_url, now=began + timedelta(seconds=20))
    for seconds, expected in ((20, 0), (40, 0), (60, 60)):
        other.time.now = began + timedelta(seconds=seconds)
        for _ in range(3):
            await principal_of(other.api, key["key"])
        await flush(other)
        assert await last_used(timed.api, session) == moment(began + timedelta(seconds=expected)), seconds
    timed.time.now = began + timedelta(seconds=80)
    for _ in range(3):
        await principal_of(timed.api, key["key"])
    await flush(timed)
    assert await last_used(timed.api, session) == moment(began + timedelta(seconds=60))


async def test_refused_uses_are_no_uses(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, expiresIn=600)

    async def use() -> None:
        assert (await timed.api.get("/whoami", bearer=key["key"])).status_code in (401, 403)
        await flush(timed)
        assert await last_used(timed.api, session) is None

    at = f"/api-keys/{key['id']}"
    accepted(await timed.api.patch(at, {"enabled": False}, bearer=session.token))
    await use()
    accepted(await timed.api.patch(at, {"enabled": True}, bearer=session.token))
    await timed.promote(account)
    assert (await timed.api.get("/whoami", bearer=key["key"])).status_code == 403
    await change_actor_types(timed, account, remove=["admin"])
    timed.time.advance(seconds=600)
    await use()


async def test_last_use_is_written_at_the_end(deploy: Deploy) -> None:
    timed = await deploy()
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    await principal_of(timed.api, key["key"])
    used = timed.time.now
    await timed.auth.stop()
    url = timed.auth.settings.storage_url
    rows = await sql(url, "SELECT last_used_at FROM {}api_keys WHERE id = $1", key["id"])
    assert rows == [(int(used.timestamp() * 1000),)]


async def flush(timed: Timed) -> None:
    """Do at once what the deployment does every few seconds."""
    await timed.auth._housekeeping.flush_key_uses()
