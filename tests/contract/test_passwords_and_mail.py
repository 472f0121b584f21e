"""Changing and resetting passwords, and confirming addresses (docs/reference/rest.md; S23, S24)."""

from __future__ import annotations

import re

import pytest

from tests.contract.api import SESSION_COOKIE, Answer, cookies_set_by
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.deployments import Deployment, Timed
from tests.contract.people import Account, Session

NEW = "a wholly different passphrase"
WRONG = "czm_" + "A" * 43


async def change(
    here: Deployment, account: Account, session: Session, new: str = NEW, **more: object
) -> Answer:
    body = {"currentPassword": account.password, "newPassword": new, **more}
    return await here.api.post("/change-password", body, bearer=session.token)


async def ask_for_reset(here: Timed, account: Account) -> str:
    answer = await here.api.post("/request-password-reset", {"email": account.email})
    assert accepted(answer) == {"status": True}
    return await here.mail.token(account.email, "password_reset")


async def confirm_address(here: Timed, account: Account) -> None:
    accepted(await here.api.post("/send-verification-email", {"email": account.email}))
    token = await here.mail.token(account.email, "verification")
    accepted(await here.api.get(f"/verify-email?token={token}"))


async def reset(here: Deployment, token: str, new: str = NEW) -> Answer:
    return await here.api.post("/reset-password", {"token": token, "newPassword": new})


# --- changing --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("more", [{}, {"revokeOtherSessions": True}, {"revokeOtherSessions": False}])
async def test_change_ends_all_other_sessions_in_any_case(live: Live, more: dict[str, object]) -> None:
    account, mine = await live.people.newcomer()
    other = await live.people.sign_in(account)
    answer = await change(live, account, mine, **more)
    renewed = Session.of(answer)
    assert renewed.body["token"] == renewed.id
    assert renewed.body["user"]["id"] == account.id
    assert cookies_set_by(answer)[SESSION_COOKIE].value == renewed.token
    assert not await live.people.is_alive(mine), "the own session is renewed, not kept"
    assert not await live.people.is_alive(other)
    for session in (mine, other):
        refusal = await live.api.post("/token/refresh", {"refreshToken": session.refresh_token})
        refused(refusal, 401, "INVALID_REFRESH_TOKEN")
    assert await live.people.is_alive(renewed)
    refused(await live.people.begin(account), 401, "INVALID_EMAIL_OR_PASSWORD")
    account.password = NEW
    await live.people.sign_in(account)


async def test_change_keeps_the_second_factor_and_ends_challenges(timed: Timed) -> None:
    carol = timed.carol
    session = await timed.people.sign_in(carol)
    timed.time.advance(minutes=1)
    challenge = await timed.people.challenge(carol)
    renewed = Session.of(await change(timed, carol, session))
    assert renewed.body["session"]["aal"] == 2
    answer = await timed.people.verify(carol.has.code(), challenge=challenge)
    refused(answer, 401, "INVALID_TWO_FACTOR_COOKIE")
    carol.password = NEW
    assert (await timed.people.sign_in(carol)).body["user"]["twoFactorEnabled"] is True


async def test_change_makes_reset_links_void_that_were_mailed_before(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    token = await ask_for_reset(timed, account)
    accepted(await change(timed, account, session))
    refused(await reset(timed, token, "yet another good passphrase"), 400, "INVALID_TOKEN")
    account.password = NEW
    await timed.people.sign_in(account)


async def test_change_needs_the_current_password(live: Live) -> None:
    account, session = await live.people.newcomer()
    account.password = "not the password"
    refused(await change(live, account, session), 400, "INVALID_PASSWORD")
    assert await live.people.is_alive(session)


@pytest.mark.parametrize(
    ("new", "code"),
    [
        ("short", "PASSWORD_TOO_SHORT"),
        ("", "PASSWORD_TOO_SHORT"),
        ("x" * 129, "PASSWORD_TOO_LONG"),
        ("password123", "PASSWORD_COMPROMISED"),
    ],
)
async def test_new_password_may_be_chosen_or_nothing_changes(timed: Timed, new: str, code: str) -> None:
    account, session = await timed.people.newcomer()
    refused(await change(timed, account, session, new), 400, code)
    assert await timed.people.is_alive(session)
    token = await ask_for_reset(timed, account)
    refused(await reset(timed, token, new), 400, code)
    assert accepted(await reset(timed, token)) == {"status": True}, "a bad choice spends no token"


# --- resetting -------------------------------------------------------------------------------------------------------
async def test_reset_by_mail_ends_all_sessions_and_signs_nobody_in(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    token = await ask_for_reset(timed, account)
    assert token.startswith("czm_")
    answer = await reset(timed, token)
    assert accepted(answer) == {"status": True}
    assert "set-cookie" not in answer.headers
    assert "set-auth-token" not in answer.headers
    assert not await timed.people.is_alive(session)
    refusal = await timed.api.post("/token/refresh", {"refreshToken": session.refresh_token})
    refused(refusal, 401, "INVALID_REFRESH_TOKEN")
    refused(await timed.people.begin(account), 401, "INVALID_EMAIL_OR_PASSWORD")
    account.password = NEW
    await timed.people.sign_in(account)


async def test_reset_leaves_the_second_factor_on_and_ends_challenges(timed: Timed) -> None:
    carol = timed.carol
    await confirm_address(timed, carol)
    challenge = await timed.people.challenge(carol)
    accepted(await reset(timed, await ask_for_reset(timed, carol)))
    answer = await timed.people.verify(carol.has.code(), challenge=challenge)
    refused(answer, 401, "INVALID_TWO_FACTOR_COOKIE")
    carol.password = NEW
    session = await timed.people.sign_in(carol)
    assert session.body["session"]["amr"] == ["pwd", "otp"]


async def test_reset_token_works_once_and_for_an_hour(timed: Timed) -> None:
    account = await timed.people.sign_up()
    token = await ask_for_reset(timed, account)
    accepted(await reset(timed, token))
    refused(await reset(timed, token, "yet another passphrase"), 400, "INVALID_TOKEN")
    token = await ask_for_reset(timed, account)
    timed.time.advance(hours=1)
    refused(await reset(timed, token), 400, "INVALID_TOKEN")


async def test_newer_reset_token_leaves_the_older_alive_until_one_is_used(timed: Timed) -> None:
    account = await timed.people.sign_up()
    old = await ask_for_reset(timed, account)
    timed.mail.messages.clear()
    new = await ask_for_reset(timed, account)
    assert old != new
    accepted(await reset(timed, old))
    refused(await reset(timed, new, "yet another passphrase"), 400, "INVALID_TOKEN")


async def test_token_of_one_purpose_serves_no_other(timed: Timed) -> None:
    account = await timed.people.sign_up()
    accepted(await timed.api.post("/send-verification-email", {"email": account.email}))
    confirmation = await timed.mail.token(account.email, "verification")
    refused(await reset(timed, confirmation), 400, "INVALID_TOKEN")
    token = await ask_for_reset(timed, account)
    refused(await timed.api.get(f"/verify-email?token={token}"), 400, "INVALID_TOKEN")
    accepted(await reset(timed, token))
    accepted(await timed.api.get(f"/verify-email?token={confirmation}"))


@pytest.mark.parametrize("token", [WRONG, "", "nonsense", "czs_" + "A" * 43, WRONG + "A"])
async def test_unknown_token_resets_nothing(live: Live, token: str) -> None:
    answer = await reset(live, token)
    if token:
        refused(answer, 400, "INVALID_TOKEN")
    else:
        assert answer.status_code == 400


async def test_asking_tells_nobody_who_exists(live: Live) -> None:
    """S24."""
    account = await live.people.sign_up()
    seen = set()
    for path in ("/request-password-reset", "/send-verification-email"):
        for email in (account.email, account.email.upper(), "nobody@example.com", "not an address"):
            answer = await live.api.post(path, {"email": email})
            assert accepted(answer) == {"status": True}
            seen.add(tuple(sorted((name, text) for name, text in answer.headers.items() if name != "date")))
    assert len(seen) == 1


async def test_development_writes_mails_to_the_log(live_sqlite: Live) -> None:
    """So that the whole of it can be tried without a mail server."""
    account = await live_sqlite.people.sign_up()
    accepted(await live_sqlite.api.post("/request-password-reset", {"email": account.email}))
    found = None
    for _ in range(1000):
        output = live_sqlite.served.server.output()
        found = re.search(rf"{re.escape(account.email)}(?s:.*?)token=(czm_[A-Za-z0-9_-]{{43}})", output)
        if found:
            break
        await live_sqlite.api.get("/get-session")
    assert found is not None
    accepted(await reset(live_sqlite, found[1]))


# --- confirming ------------------------------------------------------------------------------------------------------
async def test_confirmed_address_shows_on_the_user(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    assert session.body["user"]["emailVerified"] is False
    accepted(await timed.api.post("/send-verification-email", {"email": account.email}))
    token = await timed.mail.token(account.email, "verification")
    assert accepted(await timed.api.get(f"/verify-email?token={token}"))["status"] is True
    shown = accepted(await timed.api.get("/session", bearer=session.token))
    assert shown["user"]["emailVerified"] is True
    # A link that was used already answers the same, while the address is still confirmed.
    timed.time.advance(days=30)
    assert accepted(await timed.api.get(f"/verify-email?token={token}"))["status"] is True


async def test_confirmation_signs_nobody_in(timed_sqlite: Timed) -> None:
    account = await timed_sqlite.people.sign_up()
    accepted(await timed_sqlite.api.post("/send-verification-email", {"email": account.email}))
    token = await timed_sqlite.mail.token(account.email, "verification")
    answer = await timed_sqlite.api.get(f"/verify-email?token={token}")
    assert "set-cookie" not in answer.headers
    assert "accessToken" not in answer.text


async def test_confirmed_address_gets_no_further_mail(timed_sqlite: Timed) -> None:
    account = await timed_sqlite.people.sign_up()
    ask = {"email": account.email}
    accepted(await timed_sqlite.api.post("/send-verification-email", ask))
    token = await timed_sqlite.mail.token(account.email, "verification")
    accepted(await timed_sqlite.api.get(f"/verify-email?token={token}"))
    accepted(await timed_sqlite.api.post("/send-verification-email", ask))
    await ask_for_reset(timed_sqlite, account)
    assert len(timed_sqlite.mail.tokens(account.email, "verification")) == 1


async def test_unknown_confirmation_is_400(live_sqlite: Live) -> None:
    for query in (f"?token={WRONG}", "?token=nonsense", "?token=%ff", "?token=%C3%A9"):
        refused(await live_sqlite.api.get(f"/verify-email{query}"), 400, "INVALID_TOKEN")
    for query in ("", "?tokens=x", "?token=%00"):
        refused(await live_sqlite.api.get(f"/verify-email{query}"), 400, "VALIDATION_ERROR")


async def test_production_without_a_mail_server_swallows_nothing_and_leaks_nothing(
    deploy_sqlite: Deploy, caplog: pytest.LogCaptureFixture
) -> None:
    here = await deploy_sqlite(environment="production")
    account = await here.people.sign_up()
    token = await ask_for_reset(here, account)
    assert token not in caplog.text
