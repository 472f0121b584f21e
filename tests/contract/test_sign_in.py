"""Signing in with a password (contract sections 3 and 4)."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from czo_auth.core.context import system_context
from tests.contract.api import CHALLENGE_COOKIE, SESSION_COOKIE, cookies_set_by
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.deployments import Timed
from tests.contract.people import Account, Session

PLAIN = {
    "requires2FA",
    "requires2FASetup",
    "user",
    "session",
    "accessToken",
    "refreshToken",
    "expiresIn",
    "tokenType",
    "token",
}
SESSION = {
    "id",
    "actorType",
    "organizationId",
    "aal",
    "amr",
    "authTime",
    "restrictedTo",
    "createdAt",
    "expiresAt",
}


async def test_right_password_without_a_second_factor_gives_a_session(live: Live) -> None:
    account = await live.people.sign_up()
    answer = await live.people.begin(account)
    body = accepted(answer)
    assert set(body) >= PLAIN
    assert (body["requires2FA"], body["requires2FASetup"]) == (False, False)
    assert (body["expiresIn"], body["tokenType"]) == (900, "Bearer")
    assert set(body["session"]) >= SESSION
    facts = {
        name: body["session"][name] for name in ("actorType", "organizationId", "aal", "amr", "restrictedTo")
    }
    assert facts == {
        "actorType": "customer",
        "organizationId": None,
        "aal": 1,
        "amr": ["pwd"],
        "restrictedTo": None,
    }
    assert body["user"]["id"] == account.id
    session = Session.of(answer)
    # The second one only says that this browser signed in before; it is not a credential.
    assert cookies_set_by(answer).keys() == {SESSION_COOKIE, "czo-auth.known_browser"}
    assert cookies_set_by(answer)[SESSION_COOKIE].value == session.token
    assert body["token"] == session.id, "the public handle, not the secret"
    shown = accepted(await live.api.get("/session", bearer=session.token))
    assert shown["session"].pop("twoFactorDueAt") is None
    assert shown == {"session": body["session"], "user": body["user"]}


async def test_session_lasts_seven_days_and_an_unremembered_one_as_long_as_the_browser(
    live_sqlite: Live,
) -> None:
    people = live_sqlite.people
    account = await people.sign_up()
    answer = await people.begin(account)
    session = accepted(answer)["session"]
    life = datetime.fromisoformat(session["expiresAt"]) - datetime.fromisoformat(session["createdAt"])
    assert life.total_seconds() == 7 * 86400
    assert cookies_set_by(answer)[SESSION_COOKIE].attributes["max-age"] == str(7 * 86400)
    forgetful = cookies_set_by(await people.begin(account, rememberMe=False))
    assert "max-age" not in forgetful[SESSION_COOKIE].attributes


async def test_right_password_with_a_second_factor_gives_a_challenge_and_nothing_else(live: Live) -> None:
    """No session row, no access, refresh or session token in body or cookies."""
    account = live.enrolled_user
    watcher = await live.people.sign_in(account)
    before = accepted(await live.api.get("/sessions", bearer=watcher.token))["total"]
    answer = await live.people.begin(account)
    body = accepted(answer)
    assert body == {
        "requires2FA": True,
        "twoFactorRedirect": True,
        "twoFactorMethods": ["totp", "backup-code"],
        "challenge": body["challenge"],
        "expiresAt": body["expiresAt"],
    }
    assert body["challenge"].startswith("czc_")
    cookies = cookies_set_by(answer)
    assert cookies.keys() == {CHALLENGE_COOKIE}
    assert cookies[CHALLENGE_COOKIE].value == body["challenge"]
    assert "httponly" in cookies[CHALLENGE_COOKIE].attributes
    assert "set-auth-token" not in answer.headers
    assert accepted(await live.api.get("/sessions", bearer=watcher.token))["total"] == before


async def test_unknown_wrong_and_banned_look_the_same(live: Live) -> None:
    """S24: status, body and headers."""
    known, banned = await live.people.sign_up(), await live.people.sign_up()
    await live.auth.administration.ban(banned.id, reason="test", context=system_context(live.clock()))
    known.password = "not the password"
    strangers = [
        Account("nobody@example.com"),
        Account("not an address"),
        known,
        banned,
    ]
    seen = set()
    for path in ("/customer/sign-in/email", "/sign-in/email", "/merchant/sign-in/email"):
        for account in strangers:
            answer = await live.api.post(path, {"email": account.email, "password": account.password})
            refused(answer, 401, "INVALID_EMAIL_OR_PASSWORD")
            headers = sorted((name, text) for name, text in answer.headers.items() if name != "date")
            seen.add((answer.content, tuple(headers)))
    assert len(seen) == 1


@pytest.mark.real_hashes
@pytest.mark.real_hashes
async def test_unknown_user_takes_the_time_of_a_wrong_password(timed_sqlite: Timed) -> None:
    """S24. The shortest of several tries each, so that a busy machine does not decide."""
    known = await timed_sqlite.people.sign_up()
    known.password = "not the password"
    times: dict[str, list[float]] = {known.email: [], "nobody-at-all@example.com": []}
    for _ in range(8):
        for email, taken in times.items():
            began = time.perf_counter()
            await timed_sqlite.people.begin(Account(email, "not the password"))
            taken.append(time.perf_counter() - began)
    wrong, unknown = (min(taken) for taken in times.values())
    assert unknown > wrong / 2


async def test_actor_type_that_one_does_not_hold_is_reported_only_after_the_right_password(
    live: Live,
) -> None:
    account = await live.people.sign_up()
    for actor in ("merchant", "admin"):
        refused(await live.people.begin(account, actor), 403, "ACTOR_TYPE_MISMATCH")
    account.password = "not the password"
    refused(await live.people.begin(account, "merchant"), 401, "INVALID_EMAIL_OR_PASSWORD")
    refused(await live.people.begin(account, "robot"), 404, "UNKNOWN_ACTOR_TYPE")


async def test_route_decides_the_actor_type_of_the_session(live_sqlite: Live) -> None:
    people = live_sqlite.people
    account = await people.sign_up("merchant")
    for actor in ("customer", "merchant"):
        session = await people.sign_in(account, actor)
        assert session.body["session"]["actorType"] == actor
        whoami = accepted(await live_sqlite.api.get("/whoami", bearer=session.token))
        assert whoami["actorType"] == actor


async def test_address_signs_in_in_every_spelling(live_sqlite: Live) -> None:
    """S27."""
    account = await live_sqlite.people.sign_up()
    account.email = f" {account.email.upper()} "
    await live_sqlite.people.sign_in(account)


async def test_better_auths_sign_in_has_its_fields_and_the_native_ones(live: Live) -> None:
    """better-auth-wire, Core: `{redirect: false, token, user}` or `{twoFactorRedirect, twoFactorMethods}`."""
    account = await live.people.sign_up()
    body = {"email": account.email, "password": account.password, "callbackURL": "/home", "rememberMe": True}
    plain = accepted(await live.api.post("/sign-in/email", body))
    assert set(plain) >= PLAIN
    assert plain["redirect"] is False
    assert "url" not in plain
    assert plain["session"]["actorType"] == "customer"

    enrolled = live.enrolled_user
    answer = await live.api.post("/sign-in/email", {"email": enrolled.email, "password": enrolled.password})
    asked = accepted(answer)
    assert (asked["twoFactorRedirect"], asked["twoFactorMethods"]) == (True, ["totp", "backup-code"])
    assert cookies_set_by(answer)[CHALLENGE_COOKIE].value == asked["challenge"]


async def test_old_session_cookie_goes_when_another_sign_in_waits_for_its_code(live_sqlite: Live) -> None:
    """Else the old session would answer for the new sign-in when the code arrives without a challenge in the body."""
    account = live_sqlite.enrolled_user
    _, other = await live_sqlite.people.newcomer()
    answer = await live_sqlite.api.post(
        "/sign-in/email",
        {"email": account.email, "password": account.password},
        cookies=other.cookies,
    )
    cookies = cookies_set_by(answer)
    assert cookies[SESSION_COOKIE].value == ""
    assert cookies[SESSION_COOKIE].attributes["max-age"] == "0"


async def test_unconfirmed_address_keeps_its_owner_out_where_verification_is_on(deploy: Deploy) -> None:
    here = await deploy(require_email_verification=True)
    account = await here.people.sign_up()
    for path in ("/customer/sign-in/email", "/sign-in/email"):
        body = {"email": account.email, "password": account.password}
        refused(await here.api.post(path, body), 403, "EMAIL_NOT_VERIFIED")
        wrong = body | {"password": "not the password"}
        refused(await here.api.post(path, wrong), 401, "INVALID_EMAIL_OR_PASSWORD")
    token = await here.mail.token(account.email, "verification")
    assert accepted(await here.api.get(f"/verify-email?token={token}"))["status"] is True
    session = await here.people.sign_in(account)
    assert session.body["user"]["emailVerified"] is True


@pytest.mark.parametrize("status", ["password", "email"])
async def test_sign_in_needs_both_fields(live_sqlite: Live, status: str) -> None:
    body = {"email": "a@example.com", "password": "something"}
    del body[status]
    for path in ("/customer/sign-in/email", "/sign-in/email"):
        refused(await live_sqlite.api.post(path, body), 400, "VALIDATION_ERROR")
