"""Passkeys: registration, sign-in, second step, and what they change (docs/reference/rest.md)."""

from __future__ import annotations

import pytest

from tests.contract.api import CHALLENGE_COOKIE, SESSION_COOKIE, cookies_set_by
from tests.contract.checks import accepted, refused
from tests.contract.deployments import Timed
from tests.contract.passkeys import (
    CEREMONY_COOKIE,
    answer_registration,
    begin_registration,
    begin_second_step,
    begin_sign_in,
    finish_sign_in,
    register,
    sign_in,
)
from tests.contract.people import Session
from tests.support.authenticator import Algorithm, Authenticator

ALGORITHMS: list[Algorithm] = ["ES256", "EdDSA", "RS256"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_passkey_signs_in_without_a_password(timed: Timed, algorithm: Algorithm) -> None:
    device = Authenticator(timed.api.origin, algorithm=algorithm)
    account, session = await timed.people.newcomer()
    passkey = await register(timed, session, device, name="My phone")
    assert passkey["name"] == "My phone"
    assert (passkey["deviceType"], passkey["backedUp"]) == ("singleDevice", False)
    assert passkey["lastUsedAt"] is None
    assert passkey["userId"] == account.id
    opened = await sign_in(timed, device)
    assert opened.body["user"]["id"] == account.id
    assert opened.body["session"]["aal"] == 2
    assert opened.body["session"]["amr"] == ["hwk", "user"]
    assert opened.body["session"]["phishingResistant"] is True
    assert opened.body["requires2FA"] is False


async def test_plain_passkey_locks_nobody_out(timed: Timed) -> None:
    """Without a demand or a wish it is a way to sign in, and a password still is one."""
    device = Authenticator(timed.api.origin, synced=True)
    account, session = await timed.people.newcomer()
    passkey = await register(timed, session, device)
    assert "backupCodes" not in passkey
    assert passkey["deviceType"] == "multiDevice"
    again = await timed.people.sign_in(account)
    assert again.body["user"]["twoFactorEnabled"] is False
    assert again.body["session"]["phishingResistant"] is False
    state = await timed.people.two_factor(again)
    assert (state["enabled"], state["passkeys"]) == (False, 1)
    opened = await sign_in(timed, device)
    assert opened.body["session"]["amr"] == ["swk", "user"]


async def test_wish_turns_two_factors_on_and_shows_codes(timed: Timed) -> None:
    device = Authenticator(timed.api.origin)
    account, session = await timed.people.newcomer()
    other = await timed.people.sign_in(account)
    options = await begin_registration(timed, session)
    answer = await answer_registration(timed, session, options, device.create(options), enableTwoFactor=True)
    renewed = Session.of(answer)
    body = accepted(answer)
    assert len(body["backupCodes"]) == 10
    assert body["session"]["aal"] == 2
    assert body["session"]["amr"] == ["pwd", "hwk"]
    assert body["session"]["phishingResistant"] is True
    assert body["user"]["twoFactorEnabled"] is True
    assert not await timed.people.is_alive(session)
    assert not await timed.people.is_alive(other)
    assert await timed.people.is_alive(renewed)
    state = await timed.people.two_factor(renewed)
    assert (state["enabled"], state["passkeys"], state["backupCodesRemaining"]) == (True, 1, 10)
    begun = accepted(await timed.people.begin(account))
    assert begun["twoFactorMethods"] == ["passkey", "backup-code"]
    code = await timed.people.redeem(body["backupCodes"][0], challenge=begun["challenge"])
    assert Session.of(code).body["session"]["amr"] == ["pwd", "bkp"]


async def test_administrator_enrolls_with_a_passkey_alone(timed: Timed) -> None:
    account, session = await timed.admin()
    assert session.body["requires2FASetup"] is True
    refused(await timed.api.get("/admin/users", bearer=session.token), 403, "TWO_FACTOR_SETUP_REQUIRED")
    device = Authenticator(timed.api.origin)
    options = await begin_registration(timed, session)
    renewed = Session.of(await answer_registration(timed, session, options, device.create(options)))
    assert len(renewed.body["backupCodes"]) == 10
    accepted(await timed.api.get("/admin/users", bearer=renewed.token))
    opened = await sign_in(timed, device, actorType="admin")
    accepted(await timed.api.get("/admin/users", bearer=opened.token))
    begun = accepted(await timed.people.begin(account, "admin"))
    assert begun["requires2FA"] is True


async def test_passkey_is_the_second_step(timed: Timed) -> None:
    """Beside an authenticator app it counts at once and renews nothing."""
    account, session = await timed.people.enrolled()
    device = Authenticator(timed.api.origin)
    passkey = await register(timed, session, device)
    assert "backupCodes" not in passkey
    begun = await timed.people.begin(account)
    body = accepted(begun)
    assert body["twoFactorMethods"] == ["passkey", "totp", "backup-code"]
    cookie = {CHALLENGE_COOKIE: cookies_set_by(begun)[CHALLENGE_COOKIE].value}
    options = await begin_second_step(timed, challenge=body["challenge"])
    assert [one["id"] for one in options["allowCredentials"]] == [passkey["credentialID"]]
    by_cookie = await timed.api.post("/two-factor/passkey-options", {}, cookies=cookie)
    assert by_cookie.status_code == 200
    answer = await timed.api.post(
        "/two-factor/verify-passkey",
        {"response": device.get(options), "ceremony": options["ceremony"], "challenge": body["challenge"]},
    )
    opened = Session.of(answer)
    assert opened.body["verified"] is True
    assert opened.body["session"]["amr"] == ["pwd", "hwk"]
    assert opened.body["session"]["phishingResistant"] is True
    assert opened.body["session"]["aal"] == 2


async def test_passkey_raises_a_session(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    device = Authenticator(timed.api.origin)
    await register(timed, session, device)
    options = await begin_second_step(timed, bearer=session.token)
    answer = await timed.api.post(
        "/two-factor/verify-passkey",
        {"response": device.get(options), "ceremony": options["ceremony"]},
        bearer=session.token,
    )
    raised = Session.of(answer)
    assert raised.id != session.id
    assert raised.body["session"]["phishingResistant"] is True
    assert not await timed.people.is_alive(session)
    who = accepted(await timed.api.get("/whoami", bearer=raised.access_token))
    assert who["phishingResistant"] is True
    assert account.id == who["userId"]


async def test_cookie_carries_the_ceremony_for_clients_that_send_none(timed: Timed) -> None:
    device = Authenticator(timed.api.origin)
    _, session = await timed.people.newcomer()
    await register(timed, session, device)
    begun = await timed.api.get("/passkey/generate-authenticate-options")
    cookie = cookies_set_by(begun)[CEREMONY_COOKIE]
    assert cookie.attributes["max-age"] == "300"
    assert "httponly" in cookie.attributes
    answer = await timed.api.post(
        "/passkey/verify-authentication",
        {"response": device.get(begun.json())},
        cookies={CEREMONY_COOKIE: cookie.value},
    )
    accepted(answer)
    cleared = cookies_set_by(answer)
    assert cleared[CEREMONY_COOKIE].attributes["max-age"] == "0"
    assert SESSION_COOKIE in cleared


async def test_ceremony_in_the_body_decides_over_the_cookie(timed: Timed) -> None:
    device = Authenticator(timed.api.origin)
    _, session = await timed.people.newcomer()
    await register(timed, session, device)
    first, second = await begin_sign_in(timed), await begin_sign_in(timed)
    answer = await timed.api.post(
        "/passkey/verify-authentication",
        {"response": device.get(second), "ceremony": second["ceremony"]},
        cookies={CEREMONY_COOKIE: first["ceremony"]},
    )
    accepted(answer)
    accepted(await finish_sign_in(timed, first, device.get(first)))


async def test_ceremony_outlives_the_renewal_of_its_session(timed_sqlite: Timed) -> None:
    """It is bound to the session and its renewals, and ends with them."""
    account, session = await timed_sqlite.people.enrolled()
    options = await begin_registration(timed_sqlite, session)
    timed_sqlite.time.advance(minutes=1)
    renewed = Session.of(await timed_sqlite.people.verify(account.has.code(), bearer=session.token))
    device = Authenticator(timed_sqlite.api.origin)
    accepted(await answer_registration(timed_sqlite, renewed, options, device.create(options)))
    options = await begin_registration(timed_sqlite, renewed)
    accepted(await timed_sqlite.api.post("/sign-out", {}, bearer=renewed.token))
    refusal = await answer_registration(
        timed_sqlite, renewed, options, Authenticator(timed_sqlite.api.origin).create(options)
    )
    assert refusal.status_code == 401


async def test_repeated_registration_gets_the_first_answer(timed: Timed) -> None:
    """What turned two factors on and got lost on its way is not lost for good."""
    _, session = await timed.people.newcomer()
    device = Authenticator(timed.api.origin)
    options = await begin_registration(timed, session)
    body = {"response": device.create(options), "ceremony": options["ceremony"], "name": "phone"}
    headers = {"idempotency-key": "once"}
    path = "/passkey/verify-registration"
    first = await timed.api.post(path, body, bearer=session.token, headers=headers)
    again = await timed.api.post(path, body, bearer=session.token, headers=headers)
    assert accepted(first) == accepted(again)
    listed = accepted(await timed.api.get("/passkey/list-user-passkeys", bearer=session.token))
    assert len(listed) == 1
