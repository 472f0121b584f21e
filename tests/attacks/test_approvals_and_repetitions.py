"""
Approve a device for a victim, say a parameter twice, read another request's answer, and inherit from the deleted.

S8, S10, S16, S29, S38, S39, S40, S42 and S43, from the side of somebody who holds a little and wants more.
"""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tests.attacks.conftest import output_of
from tests.contract.acting import create_key, create_organization, graphql, is_accepted
from tests.contract.api import BASE, DEVICE_COOKIE, Answer, cookies_set_by
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.deployments import Timed
from tests.contract.oauth import OTHER, asking, granted, is_alive, oauth_error, send
from tests.contract.organizations import acme_of
from tests.contract.people import Account, Session
from tests.contract.test_device_approval import begin, decide, opened, poll

FORM = {"content-type": "application/x-www-form-urlencoded"}


async def submit(timed: Timed, path: str, form: dict[str, str], **headers: str) -> Answer:
    """Send a form as a page of any site can, without a preflight."""
    return await timed.api.http.post(f"{BASE}{path}", content=urlencode(form), headers={**FORM, **headers})


async def cookie_of(timed: Timed, account: Account) -> str:
    answer = await timed.people.begin(account)
    set_by = cookies_set_by(answer)
    (name,) = [each for each in set_by if "session" in each and set_by[each].value]
    return f"{name}={set_by[name].value}"


@pytest.mark.parametrize(
    "origin",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"referer": "https://evil.example/page"},
        {"sec-fetch-site": "cross-site"},
        {},
    ],
)
@pytest.mark.parametrize("path", ["/device/approve", "/device/deny"])
async def test_form_of_another_site_decides_about_a_device(
    timed_sqlite: Timed, path: str, origin: dict[str, str]
) -> None:
    """OAuth's routes take forms, and a form needs no preflight: the victim's cookie alone must not do."""
    account, _ = await timed_sqlite.people.newcomer()
    codes = await begin(timed_sqlite)
    cookie = await cookie_of(timed_sqlite, account)
    answer = await submit(timed_sqlite, path, {"userCode": codes["user_code"]}, cookie=cookie, **origin)
    assert answer.status_code in (401, 403), answer.text
    oauth_error(await poll(timed_sqlite, codes), "authorization_pending")


@pytest.mark.parametrize("kind", ["key", "token", "challenge"])
async def test_device_approved_by_something_less_than_a_session(timed_sqlite: Timed, kind: str) -> None:
    _, session = await timed_sqlite.people.newcomer()
    key = (await create_key(timed_sqlite.api, session))["key"]
    bearer = {
        "key": key,
        "token": granted(await send(timed_sqlite.api, asking(key)))["access_token"],
        "challenge": await timed_sqlite.people.challenge(timed_sqlite.carol),
    }[kind]
    codes = await begin(timed_sqlite)
    for what in ("approve", "deny"):
        answer = await timed_sqlite.api.post(
            f"/device/{what}", {"userCode": codes["user_code"]}, bearer=bearer
        )
        assert answer.status_code in (401, 403), answer.text
    oauth_error(await poll(timed_sqlite, codes), "authorization_pending")


async def test_request_that_a_thief_opened_first_stays_with_nobody_else(timed_sqlite: Timed) -> None:
    """Who opens a code in another session of the same user learns little, and decides nothing."""
    account, thief = await timed_sqlite.people.newcomer()
    victim = Session.of(await timed_sqlite.people.begin(account))
    codes = await begin(timed_sqlite)
    granted(await opened(timed_sqlite, victim, codes["user_code"]))
    oauth_error(await decide(timed_sqlite, thief, "approve", codes["user_code"]), "access_denied", 403)
    accepted(await timed_sqlite.api.post("/sign-out", {}, bearer=victim.token))
    oauth_error(await decide(timed_sqlite, thief, "approve", codes["user_code"]), "access_denied", 403)
    oauth_error(await poll(timed_sqlite, codes), "authorization_pending")


@pytest.mark.parametrize("name", ["subject_token", "scope", "audience", "grant_type", "expires_in"])
async def test_parameter_that_is_said_twice(timed_sqlite: Timed, name: str) -> None:
    """RFC 6749 section 3.2: a proxy that reads the first and a server that reads the last would disagree."""
    _, session = await timed_sqlite.people.newcomer()
    key = await create_key(timed_sqlite.api, session, scopes=["a:b", "c:d"])
    form = {**asking(key["key"]), "scope": "a:b", "expires_in": "60", "audience": "http://auth.test"}
    body = urlencode([*form.items(), (name, form[name])])
    answer = await timed_sqlite.api.http.post(f"{BASE}/token/exchange", content=body, headers=FORM)
    oauth_error(answer, "invalid_request")


@pytest.mark.parametrize(
    ("name", "error"),
    [("client_id", "invalid_request"), ("name", "invalid_request"), ("scope", "invalid_scope")],
)
async def test_control_characters_from_a_device(timed_sqlite: Timed, name: str, error: str) -> None:
    """What an approver is shown, and what a log holds, comes from a stranger."""
    for text in ("a\r\nSet-Cookie: b=c", "a\x00b", "a\x1b[2Jb", "a\u202eb"):
        form = {"client_id": "tool", name: text}
        answer = await timed_sqlite.api.http.post(f"{BASE}/device/code", data=form)
        # A zero byte is refused in every body, before anybody knows what it is for.
        oauth_error(answer, "invalid_request" if "\x00" in text else error)


async def test_token_for_another_service_used_here(deploy_sqlite: Deploy) -> None:
    timed = await deploy_sqlite(token_audiences=(OTHER,))
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, scopes=["a:b"])
    token = granted(await send(timed.api, asking(key["key"], audience=OTHER)))["access_token"]
    assert not await is_alive(timed.api, token)
    refused(await timed.api.post("/token/refresh", {"refreshToken": token}), 401, "INVALID_REFRESH_TOKEN")


@pytest.mark.each_database
async def test_answer_of_a_named_request_read_by_others(timed: Timed) -> None:
    """The name is no secret: only the same session, at the same route, gets the key again."""
    account, session = await timed.people.newcomer()
    name = {"Idempotency-Key": "deploy-1"}
    body = {"name": "deploy"}
    shown = accepted(await timed.api.post("/api-keys", body, bearer=session.token, headers=name), 201)
    secret = shown["apiKey"]["key"]
    other = Session.of(await timed.people.begin(account))
    _, stranger = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    for bearer, path, sent in (
        (other.token, "/api-keys", body),
        (stranger.token, "/api-keys", body),
        (secret, "/api-keys", body),
        (session.token, "/api-key/create", body),
        (session.token, f"/api-keys/{shown['apiKey']['id']}/rotate", {}),
        (session.token, "/api-keys?organizationId=x", body),
        (session.token, "/api-keys", {**body, "organizationId": organization}),
    ):
        answer = await timed.api.post(path, sent, bearer=bearer, headers=name)
        assert secret not in answer.text, path
    accepted(await timed.api.post("/sign-out", {}, bearer=session.token))
    answer = await timed.api.post("/api-keys", body, bearer=session.token, headers=name)
    refused(answer, 401, "INVALID_TOKEN")


@pytest.mark.each_database
async def test_account_made_again_with_a_deleted_address(timed: Timed) -> None:
    """The next user with the address inherits nothing: no session, key, browser, membership or link."""
    account, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    key = await create_key(timed.api, session)
    theirs = await create_key(timed.api, session, organizationId=organization)
    token = granted(await send(timed.api, asking(key["key"])))["access_token"]
    await timed.api.post("/request-password-reset", {"email": account.email})
    link = await timed.mail.token(account.email, "password_reset")
    codes = await begin(timed)
    granted(await decide(timed, session, "approve", codes["user_code"]))
    accepted(await timed.api.post("/delete-user", {"password": account.password}, bearer=session.token))

    body = {"email": account.email, "password": "an entirely different one", "name": "Next"}
    accepted(await timed.api.post("/customer/sign-up", body), 201)
    following = Account(email=account.email, password=body["password"])
    next_session = Session.of(await timed.people.begin(following))
    for credential in (key["key"], theirs["key"], token, session.token, session.body["accessToken"]):
        assert (await timed.api.get("/whoami", bearer=credential)).status_code == 401
    answer = await timed.api.post("/token/refresh", {"refreshToken": session.body["refreshToken"]})
    refused(answer, 401, "INVALID_REFRESH_TOKEN")
    answer = await timed.api.post("/reset-password", {"token": link, "newPassword": "and one more of them"})
    refused(answer, 400, "INVALID_TOKEN")
    oauth_error(await poll(timed, codes), "invalid_grant")
    for path, name in (("/api-keys", "apiKeys"), ("/organizations", "organizations")):
        assert accepted(await timed.api.get(path, bearer=next_session.token))[name] == []
    activity = accepted(await timed.api.get("/activity", bearer=next_session.token))
    assert key["id"] not in str(activity)


async def test_browser_trusted_by_a_deleted_account(timed_sqlite: Timed) -> None:
    """The cookie of a browser that Carol trusted skips nobody's second factor after she is gone."""
    timed = timed_sqlite
    challenge = await timed.people.challenge(timed.carol)
    body = {"code": timed.carol.has.code(), "challenge": challenge, "trustDevice": True}
    answer = await timed.api.post("/two-factor/verify", body)
    device = cookies_set_by(answer)[DEVICE_COOKIE].value
    session = Session.of(answer)
    sent = {"password": timed.carol.password}
    accepted(await timed.api.post("/delete-user", sent, bearer=session.token))
    account, enrolled = await timed.people.enrolled()
    del enrolled
    timed.time.advance(seconds=31)
    body = {"email": account.email, "password": account.password}
    answer = await timed.api.post("/customer/sign-in/email", body, cookies={DEVICE_COOKIE: device})
    assert accepted(answer)["requires2FA"] is True


async def test_export_of_an_account_holds_nothing_that_signs_in(timed_sqlite: Timed) -> None:
    """Who takes over a session may read the export: it must not be worth more than the session."""
    timed = timed_sqlite
    challenge = await timed.people.challenge(timed.carol)
    answer = await timed.api.post(
        "/two-factor/verify", {"code": timed.carol.has.code(), "challenge": challenge, "trustDevice": True}
    )
    session, device = Session.of(answer), cookies_set_by(answer)[DEVICE_COOKIE].value
    key = await create_key(timed.api, session)
    text = (await timed.api.get("/user/export", bearer=session.token)).text
    assert key["id"] in text
    secrets = [key["key"], session.token, session.body["refreshToken"], session.body["accessToken"]]
    for secret in (*secrets, device, timed.carol.has.secret, *timed.carol.codes, "$argon2", "$2b$", "v1.k1."):
        assert secret not in text


async def test_key_of_a_program_at_every_mutation(timed_sqlite: Timed) -> None:
    """A service account's key reads its organization; it is nobody, also where better-auth's client asks."""
    acme = await acme_of(timed_sqlite)
    key = await acme.key((await acme.create())["id"])
    for path, body in (
        ("/organization/update", {"organizationId": acme.id, "data": {"name": "mine"}}),
        ("/organization/delete", {"organizationId": acme.id}),
        (
            "/organization/invite-member",
            {"organizationId": acme.id, "email": "a@example.com", "role": "owner"},
        ),
        ("/organization/leave", {"organizationId": acme.id}),
        ("/organization/set-active", {"organizationId": acme.id}),
        ("/api-key/create", {"name": "another"}),
        ("/api-key/delete", {"keyId": key["id"]}),
        ("/device/approve", {"userCode": "BBBB-BBBB"}),
        ("/switch-actor", {"actorType": "customer"}),
        ("/reauthenticate", {"password": "some password"}),
        ("/delete-user", {}),
    ):
        answer = await acme.api.post(path, body, bearer=key["key"])
        assert (answer.status_code, answer.json()["code"]) == (403, "SESSION_REQUIRED"), (path, answer.text)
    answer = await graphql(
        timed_sqlite, f'{{ organization(id: "{acme.id}") {{ apiKeys {{ id }} }} }}', key["key"]
    )
    assert answer.json()["errors"][0]["extensions"]["code"] == "SESSION_REQUIRED"
    assert await is_accepted(acme.api, key["key"])


@pytest.mark.deep
async def test_names_of_devices_write_no_line_into_the_log(live: Live) -> None:
    mark = "forged-by-a-device"
    for value in (f"x\n2030-01-01 CRITICAL {mark}", f"x%0A{mark}"):
        form = urlencode({"client_id": value, "name": value})
        await live.api.http.post(
            f"{BASE}/device/code?{urlencode({'client_id': value})}", content=form, headers=FORM
        )
        await live.api.http.get(f"{BASE}/device?{urlencode({'user_code': value})}")
    for line in output_of(live.served).splitlines():
        assert not line.startswith(("2030-01-01 CRITICAL", mark))
