"""Approving a command line in the browser (contract part two, section 17; S40)."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from czo_auth.core.context import system_context
from tests.contract.acting import create_organization, is_accepted, join, listed_keys, principal_of
from tests.contract.api import Answer
from tests.contract.checks import accepted
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.mails import mailed
from tests.contract.oauth import granted, oauth_error
from tests.contract.people import Session

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT = "deploy-tool"


async def begin(timed: Timed, **more: str) -> dict[str, Any]:
    return granted(await timed.api.http.post("/api/auth/device/code", data={"client_id": CLIENT, **more}))


async def poll(timed: Timed, codes: dict[str, Any], *, path: str = "/device/token", **change: str) -> Answer:
    form = {"grant_type": GRANT, "device_code": codes["device_code"], "client_id": CLIENT, **change}
    return await timed.api.http.post(f"/api/auth{path}", data=form)


async def opened(timed: Timed, session: Session, user_code: str) -> Answer:
    return await timed.api.get(f"/device?user_code={user_code}", bearer=session.token)


async def decide(timed: Timed, session: Session, what: str, user_code: str) -> Answer:
    return await timed.api.post(f"/device/{what}", {"userCode": user_code}, bearer=session.token)


async def test_command_line_gets_a_key_of_the_approver(timed: Timed) -> None:
    codes = await begin(timed, name="laptop", scope="a:b c:d")
    assert re.fullmatch(r"czv_[A-Za-z0-9_-]{43}", codes["device_code"])
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", codes["user_code"])
    assert (codes["expires_in"], codes["interval"]) == (600, 5)
    assert codes["verification_uri"].endswith("/account/device")
    assert codes["verification_uri_complete"] == f"{codes['verification_uri']}?user_code={codes['user_code']}"
    oauth_error(await poll(timed, codes), "authorization_pending")
    _, session = await timed.people.newcomer()
    seen = granted(await opened(timed, session, codes["user_code"]))
    assert seen["status"] == "pending"
    assert (seen["client_id"], seen["name"], seen["scope"]) == (CLIENT, "laptop", "a:b c:d")
    assert seen["ipAddress"]
    # Typed as people type.
    typed = codes["user_code"].lower().replace("-", " ")
    assert granted(await decide(timed, session, "approve", typed)) == {"success": True}
    timed.time.advance(seconds=6)
    fetched = granted(await poll(timed, codes))
    assert (fetched["token_type"], fetched["scope"]) == ("Bearer", "a:b c:d")
    assert 0 < fetched["expires_in"] <= 90 * 86400
    assert await is_accepted(timed.api, fetched["access_token"])
    (key,) = await listed_keys(timed.api, session)
    assert (key["name"], key["scopes"]) == ("laptop", ["a:b", "c:d"])


async def test_token_endpoint_takes_the_grant_too(timed: Timed) -> None:
    codes = await begin(timed)
    _, session = await timed.people.newcomer()
    granted(await decide(timed, session, "approve", codes["user_code"]))
    fetched = granted(await poll(timed, codes, path="/token"))
    assert fetched["access_token"].startswith("czo_")


async def test_doubled_user_code_is_refused_and_opens_nothing(timed: Timed) -> None:
    """RFC 6749 section 3.1: parameters must not come twice."""
    _, session = await timed.people.newcomer()
    _, other = await timed.people.newcomer()
    code = (await begin(timed))["user_code"]
    answer = await timed.api.get(f"/device?user_code=AAAA-BBBB&user_code={code}", bearer=session.token)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    in_form = await timed.api.http.post(
        "/api/auth/device/approve",
        content=f"userCode={code}&userCode={code}",
        headers={
            "authorization": f"Bearer {session.token}",
            "content-type": "application/x-www-form-urlencoded",
        },
    )
    assert {each.json()["code"] for each in (answer, in_form)} == {"INVALID_REQUEST"}
    granted(await opened(timed, other, code))


async def test_key_that_is_fetched_twice_is_revoked(timed: Timed) -> None:
    codes = await begin(timed)
    _, session = await timed.people.newcomer()
    granted(await decide(timed, session, "approve", codes["user_code"]))
    key = granted(await poll(timed, codes))["access_token"]
    timed.time.advance(seconds=59)
    oauth_error(await poll(timed, codes), "invalid_grant")
    assert not await is_accepted(timed.api, key)


@pytest.mark.each_database
async def test_key_that_was_rotated_before_it_was_fetched_is_not_handed_out(timed: Timed) -> None:
    codes = await begin(timed)
    _, session = await timed.people.newcomer()
    granted(await decide(timed, session, "approve", codes["user_code"]))
    (key,) = await listed_keys(timed.api, session)
    accepted(await timed.api.post(f"/api-keys/{key['id']}/rotate", {}, bearer=session.token), 201)
    oauth_error(await poll(timed, codes), "invalid_grant")


async def test_approver_is_mailed_that_a_key_was_made(timed: Timed) -> None:
    codes = await begin(timed, name="laptop")
    account, session = await timed.people.newcomer()
    granted(await decide(timed, session, "approve", codes["user_code"]))
    (key,) = await listed_keys(timed.api, session)
    reported = await mailed(timed, account.email, "api_key_created")
    assert "laptop" in reported.text
    assert key["prefix"] in reported.text


async def test_late_second_fetch_revokes_nothing(timed: Timed) -> None:
    codes = await begin(timed)
    _, session = await timed.people.newcomer()
    granted(await decide(timed, session, "approve", codes["user_code"]))
    key = granted(await poll(timed, codes))["access_token"]
    timed.time.advance(seconds=61)
    oauth_error(await poll(timed, codes), "invalid_grant")
    assert await is_accepted(timed.api, key)


async def test_of_many_fetches_at_once_at_most_one_gets_the_key(timed: Timed) -> None:
    codes = await begin(timed)
    _, session = await timed.people.newcomer()
    granted(await decide(timed, session, "approve", codes["user_code"]))
    answers = await asyncio.gather(*(poll(timed, codes) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


async def test_denied_and_expired_requests_say_so(timed: Timed) -> None:
    denied, late = await begin(timed), await begin(timed)
    _, session = await timed.people.newcomer()
    granted(await decide(timed, session, "deny", denied["user_code"]))
    oauth_error(await poll(timed, denied), "access_denied")
    oauth_error(await decide(timed, session, "approve", denied["user_code"]), "invalid_request")
    timed.time.advance(seconds=601)
    oauth_error(await poll(timed, late), "expired_token")
    oauth_error(await decide(timed, session, "deny", late["user_code"]), "expired_token")


async def test_device_that_asks_too_often_is_slowed_down(timed: Timed) -> None:
    codes = await begin(timed)
    oauth_error(await poll(timed, codes), "authorization_pending")
    timed.time.advance(seconds=4)
    oauth_error(await poll(timed, codes), "slow_down")
    timed.time.advance(seconds=9)
    oauth_error(await poll(timed, codes), "slow_down")
    timed.time.advance(seconds=15)
    oauth_error(await poll(timed, codes), "authorization_pending")


async def test_other_session_learns_little_and_decides_nothing(timed: Timed) -> None:
    codes = await begin(timed, name="laptop", scope="a:b")
    _, first = await timed.people.newcomer()
    _, second = await timed.people.newcomer()
    granted(await opened(timed, first, codes["user_code"]))
    seen = granted(await opened(timed, second, codes["user_code"]))
    assert set(seen) == {"user_code", "status", "client_id"}
    for what in ("approve", "deny"):
        oauth_error(await decide(timed, second, what, codes["user_code"]), "access_denied", 403)
    granted(await decide(timed, first, "approve", codes["user_code"]))


async def test_wrong_codes_are_bounded(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    codes = await begin(timed)
    for _ in range(10):
        oauth_error(await decide(timed, session, "approve", "BBBB-BBBB"), "invalid_request")
    # The right one is refused as well now, or guessing would go on.
    answer = await decide(timed, session, "approve", codes["user_code"])
    assert answer.status_code == 429
    assert answer.json()["retryAfter"] > 0
    timed.time.advance(seconds=61)
    granted(await decide(timed, session, "approve", codes["user_code"]))


async def test_wrong_codes_at_once_are_bounded_too(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    guesses = [f"BBBB-BB{a}{b}" for a in "BCDFG" for b in "BCDFG"]
    answers = await asyncio.gather(*(opened(timed, session, guess) for guess in guesses))
    assert sorted({answer.status_code for answer in answers}) == [400, 429]
    assert sum(answer.status_code == 400 for answer in answers) == 10


async def test_approving_asks_for_a_recent_proof(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    timed.time.advance(seconds=601)
    codes = await begin(timed)
    answer = await decide(timed, session, "approve", codes["user_code"])
    assert (answer.status_code, answer.json()["code"]) == (403, "REAUTHENTICATION_REQUIRED")
    body = {"userCode": codes["user_code"], "password": account.password}
    granted(await timed.api.post("/device/approve", body, bearer=session.token))


MALFORMED = [
    "orders",
    "orders.read",
    "a:b  c:d",
    " a:b",
    " ",
    "a:b\n",
    "é:b",
    " ".join(f"a:b{n}" for n in range(200)),
]


@pytest.mark.parametrize("scope", MALFORMED, ids=lambda scope: repr(scope)[:12])
async def test_malformed_scopes_are_refused_at_once_as_scopes(timed: Timed, scope: str) -> None:
    """RFC 6749 section 5.2: also too many; an empty one counts as omitted, as every parameter of OAuth."""
    form = {"client_id": CLIENT, "scope": scope}
    oauth_error(await timed.api.http.post("/api/auth/device/code", data=form), "invalid_scope")
    oauth_error(await timed.api.post("/device/code", form), "invalid_scope")
    assert (await begin(timed, scope=""))["user_code"]


async def test_scopes_that_the_approver_cannot_grant_are_refused(timed: Timed) -> None:
    codes = await begin(timed, scope="admin:everything")
    _, session = await timed.people.newcomer()
    answer = await decide(timed, session, "approve", codes["user_code"])
    assert (answer.status_code, answer.json()["code"]) == (403, "INSUFFICIENT_SCOPE")
    timed.time.advance(seconds=6)
    oauth_error(await poll(timed, codes), "authorization_pending")


@pytest.mark.each_database
@pytest.mark.parametrize("what", ["removed", "banned", "deleted", "revoked"])
async def test_approver_who_lost_their_rights_before_the_fetch_leaves_no_key(timed: Timed, what: str) -> None:
    """The key was made at approval; whatever ends keys ends this one too, though nobody has it yet."""
    _, owner = await timed.people.newcomer()
    organization = await create_organization(timed.api, owner)
    account, session = await timed.people.newcomer()
    await join(timed.api, owner, organization, (account, session))
    codes = await begin(timed, organizationId=organization, scope="a:b")
    granted(await decide(timed, session, "approve", codes["user_code"]))
    context = system_context(timed.clock())
    if what == "removed":
        path = f"/organizations/{organization}/members/{account.id}"
        accepted(await timed.api.delete(path, {"confirm": True}, bearer=owner.token), 204)
    elif what == "banned":
        await timed.auth.administration.ban(account.id, reason="Gone.", context=context)
    elif what == "deleted":
        await timed.auth.delete_user.delete(account.id, reason=None, context=context)
    else:
        (key,) = await listed_keys(timed.api, session)
        accepted(await timed.api.delete(f"/api-keys/{key['id']}", bearer=session.token), 204)
    oauth_error(await poll(timed, codes), "invalid_grant")


@pytest.mark.each_database
async def test_approver_who_is_demoted_before_the_fetch_hands_out_what_they_have_left(deploy: Deploy) -> None:
    here = await deploy(scope_rule={"customer": ["a:read"], "org:admin": ["a:write"]})
    _, owner = await here.people.newcomer()
    organization = await create_organization(here.api, owner)
    account, session = await here.people.newcomer()
    await join(here.api, owner, organization, (account, session))
    codes = await begin(here, organizationId=organization, scope="a:read a:write")
    granted(await decide(here, session, "approve", codes["user_code"]))
    path = f"/organizations/{organization}/members/{account.id}"
    accepted(await here.api.patch(path, {"role": "viewer"}, bearer=owner.token))
    key = granted(await poll(here, codes))["access_token"]
    assert (await principal_of(here.api, key))["scopes"] == ["a:read"]


async def test_organization_of_somebody_else_is_refused(timed: Timed) -> None:
    _, owner = await timed.people.newcomer()
    organization = await create_organization(timed.api, owner)
    codes = await begin(timed, organizationId=organization)
    _, session = await timed.people.newcomer()
    answer = await decide(timed, session, "approve", codes["user_code"])
    assert (answer.status_code, answer.json()["code"]) == (403, "USER_NOT_MEMBER_OF_ORGANIZATION")


async def test_keys_approve_nothing(timed: Timed) -> None:
    codes = await begin(timed)
    _, session = await timed.people.newcomer()
    granted(await decide(timed, session, "approve", codes["user_code"]))
    key = granted(await poll(timed, codes))["access_token"]
    again = await begin(timed)
    answer = await timed.api.post("/device/approve", {"userCode": again["user_code"]}, bearer=key)
    assert (answer.status_code, answer.json()["code"]) == (403, "SESSION_REQUIRED")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"device_code": ""}, "invalid_request"),
        ({"client_id": ""}, "invalid_request"),
        ({"client_id": "another"}, "invalid_grant"),
        ({"device_code": "czv_" + "A" * 43}, "invalid_grant"),
        ({"device_code": "nonsense"}, "invalid_grant"),
    ],
)
async def test_bad_request_of_a_device(timed: Timed, change: dict[str, str], error: str) -> None:
    oauth_error(await poll(timed, await begin(timed), **change), error)


async def test_key_that_nobody_fetches_ends(timed: Timed) -> None:
    codes = await begin(timed)
    _, session = await timed.people.newcomer()
    granted(await decide(timed, session, "approve", codes["user_code"]))
    assert len(await listed_keys(timed.api, session)) == 1
    timed.time.advance(seconds=601)
    await timed.auth._housekeeping.forget_answers()
    assert await listed_keys(timed.api, session) == []
    oauth_error(await poll(timed, codes), "expired_token")


async def test_codes_are_stored_hashed_and_the_key_encrypted(timed: Timed) -> None:
    codes = await begin(timed)
    _, session = await timed.people.newcomer()
    granted(await decide(timed, session, "approve", codes["user_code"]))

    def rows(tx: Any) -> str:
        return str(tx.connection.execute(tx.tables.device_authorizations.select()).all())

    kept = await timed.auth.services.transactions.read(rows)
    assert CLIENT in kept
    assert codes["device_code"] not in kept
    assert codes["user_code"] not in kept
    assert codes["user_code"].replace("-", "") not in kept
    assert "czo_" not in kept


async def test_new_codes_are_bounded_by_address(timed: Timed) -> None:
    answers = [
        await timed.api.http.post("/api/auth/device/code", data={"client_id": CLIENT}) for _ in range(61)
    ]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429]


async def test_waiting_codes_are_bounded_in_all(timed: Timed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers of many networks ask together; those that are over make room."""
    monkeypatch.setattr("czo_auth.core.flows.devices.authorize.MAX_DEVICE_CODES", 5)

    async def ask() -> int:
        answer = await timed.api.http.post("/api/auth/device/code", data={"client_id": CLIENT})
        return answer.status_code

    assert [await ask() for _ in range(7)] == [200] * 5 + [429] * 2
    timed.time.advance(minutes=11)
    assert await ask() == 200
