"""Attacks on the second half of a sign-in: the challenge and the code (S2, S3, S4, S23, S24)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attacks.changes import (
    ban,
    ban_and_unban,
    change_password,
    disable,
    replace_the_phone,
    reset_two_factor,
    revoke_others,
)
from tests.attacks.conftest import Graph
from tests.contract.api import CHALLENGE_COOKIE, SESSION_COOKIE, cookies_set_by
from tests.contract.checks import accepted, refused
from tests.contract.conftest import DRIFT, Live
from tests.contract.database import sql
from tests.contract.people import Account, Session

pytestmark = pytest.mark.deep

AccountAndSession = tuple[Account, Session]
DEAD = "INVALID_TWO_FACTOR_COOKIE"


# --- the challenge is not a credential
# ----------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/session", "/whoami", "/api-keys", "/two-factor", "/organizations"])
async def test_challenge_as_bearer(live: Live, victim: Account, path: str) -> None:
    challenge = await live.people.challenge(victim)
    refused(await live.api.get(path, bearer=challenge), 401, "INVALID_TOKEN")


async def test_challenge_as_bearer_of_graphql(live: Live, victim: Account, graph: Graph) -> None:
    refused(await graph(bearer=await live.people.challenge(victim)), 401, "INVALID_TOKEN")


async def test_challenge_as_session_cookie(live: Live, victim: Account) -> None:
    challenge = await live.people.challenge(victim)
    refused(await live.api.get("/session", cookies={SESSION_COOKIE: challenge}), 401, "UNAUTHORIZED")


async def test_challenge_as_refresh_token(live: Live, victim: Account) -> None:
    body = {"refreshToken": await live.people.challenge(victim)}
    refused(await live.api.post("/token/refresh", body), 401, "INVALID_REFRESH_TOKEN")


async def test_cookies_of_the_first_half_open_nothing(live: Live, victim: Account) -> None:
    answer = await live.people.begin(victim)
    body = accepted(answer)
    assert "set-auth-token" not in answer.headers
    assert {"accessToken", "refreshToken", "token", "session", "user"}.isdisjoint(body)
    cookies = {name: cookie.value for name, cookie in cookies_set_by(answer).items()}
    assert set(cookies) == {CHALLENGE_COOKIE}
    refused(await live.api.get("/session", cookies=cookies), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("path", ["/customer/sign-in/email", "/sign-in/email"])
async def test_other_routes_without_second_factor(live: Live, victim: Account, path: str) -> None:
    answer = await live.api.post(path, {"email": victim.email, "password": victim.password})
    assert accepted(answer)["twoFactorRedirect"] is True
    assert "set-auth-token" not in answer.headers


@pytest.mark.parametrize("respell", [str.upper, lambda email: f" {email} ".strip().swapcase()])
async def test_route_by_another_spelling_of_the_address(live: Live, victim: Account, respell: Any) -> None:
    body = {"email": respell(victim.email), "password": victim.password}
    assert accepted(await live.api.post("/sign-in/email", body))["requires2FA"] is True


# --- forged and foreign challenges -----------------------------------------------------------------------------------
FORGED_CHALLENGES = {
    "unknown": "czc_" + "A" * 43,
    "too short": "czc_" + "A" * 42,
    "too long": "czc_" + "A" * 44,
    "non-canonical end": "czc_" + "A" * 42 + "B",
    "another prefix": "czs_" + "A" * 43,
    "no prefix": "A" * 43,
    "upper-case prefix": "CZC_" + "A" * 43,
    "newline at the end": "czc_" + "A" * 43 + "\n",
    "like pattern": "czc_" + "%" * 43,
    "SQL": "czc_' OR '1'='1' --",
    "full-width": "czc_" + "Ａ" * 43,
}


@pytest.mark.parametrize("name", FORGED_CHALLENGES)
async def test_forged_challenge(live: Live, victim: Account, name: str) -> None:
    answer = await live.people.verify(victim.has.code(), challenge=FORGED_CHALLENGES[name])
    refused(answer, 401, DEAD)


@pytest.mark.parametrize("kind", ["session token", "access token", "refresh token"])
async def test_other_credential_in_place_of_the_challenge(live: Live, victim: Account, kind: str) -> None:
    session = await live.people.sign_in(victim)
    given = {
        "session token": session.token,
        "access token": session.access_token,
        "refresh token": session.refresh_token,
    }[kind]
    refused(await live.people.verify(victim.has.code(), challenge=given), 401, DEAD)


async def test_own_code_for_a_stolen_challenge(
    live: Live, victim: Account, enrolled_user: AccountAndSession
) -> None:
    challenge = await live.people.challenge(victim)
    refused(await live.people.verify(enrolled_user[0].has.code(), challenge=challenge), 401, "INVALID_CODE")


async def test_own_session_beside_a_stolen_challenge(
    live: Live, victim: Account, enrolled_user: AccountAndSession
) -> None:
    challenge = await live.people.challenge(victim)
    answer = await live.people.verify(
        enrolled_user[0].has.code(), challenge=challenge, bearer=enrolled_user[1].token
    )
    refused(answer, 401, "INVALID_CODE")


@pytest.mark.parametrize("path", ["/two-factor/verify", "/two-factor/verify-backup-code"])
async def test_code_without_any_challenge(live: Live, victim: Account, path: str) -> None:
    refused(await live.api.post(path, {"code": victim.has.code()}), 401, DEAD)


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "https://app.example.evil.example"])
async def test_challenge_cookie_from_another_site(live: Live, victim: Account, origin: str | None) -> None:
    challenge = await live.people.challenge(victim)
    cookies = live.people.challenge_cookie(challenge)
    answer = await live.people.verify(victim.has.code(), cookies=cookies, origin=origin)
    code = "MISSING_OR_NULL_ORIGIN" if origin in (None, "null") else "INVALID_ORIGIN"
    refused(answer, 403, code)


# --- codes used again, early and late --------------------------------------------------------------------------------
async def test_replayed_code_with_a_new_challenge(live: Live, victim: Account) -> None:
    code = victim.has.code()
    Session.of(await live.people.verify(code, challenge=await live.people.challenge(victim)))
    again = await live.people.verify(code, challenge=await live.people.challenge(victim))
    refused(again, 401, "INVALID_CODE")


async def test_replayed_code_after_a_later_one(live: Live, victim: Account) -> None:
    """A, B, A: remembering the last code would not be enough."""
    first, second = victim.has.code(), victim.has.code()
    for code in (first, second):
        Session.of(await live.people.verify(code, challenge=await live.people.challenge(victim)))
    for code in (first, second):
        again = await live.people.verify(code, challenge=await live.people.challenge(victim))
        refused(again, 401, "INVALID_CODE")


async def test_earlier_code_after_a_later_one_was_spent(live: Live, victim: Account) -> None:
    """A code that was seen over a shoulder and never used dies with the next one."""
    seen, used = victim.has.at(-1), victim.has.at(1)
    Session.of(await live.people.verify(used, challenge=await live.people.challenge(victim)))
    refused(
        await live.people.verify(seen, challenge=await live.people.challenge(victim)), 401, "INVALID_CODE"
    )


async def test_enrollment_code_used_again_at_sign_in(live: Live) -> None:
    account, session = await live.people.newcomer()
    await live.people.enable(account, session)
    code = account.has.code()
    Session.of(await live.people.verify(code, bearer=session.token))
    again = await live.people.verify(code, challenge=await live.people.challenge(account))
    refused(again, 401, "INVALID_CODE")


async def test_sign_in_code_used_again_for_step_up(live: Live, victim: Account) -> None:
    code = victim.has.code()
    session = Session.of(await live.people.verify(code, challenge=await live.people.challenge(victim)))
    refused(await live.people.verify(code, bearer=session.token), 401, "INVALID_CODE")


@pytest.mark.parametrize("steps", [-DRIFT - 2, DRIFT + 2, -2880, 2880])
async def test_code_outside_the_window(live: Live, victim: Account, steps: int) -> None:
    answer = await live.people.verify(victim.has.at(steps), challenge=await live.people.challenge(victim))
    refused(answer, 401, "INVALID_CODE")


TYPED_CODES: dict[str, tuple[Any, int, str]] = {
    "full-width digits": (lambda code: code.translate(_shifted(0xFF10)), 401, "INVALID_CODE"),
    "Arabic-Indic digits": (lambda code: code.translate(_shifted(0x0660)), 401, "INVALID_CODE"),
    "mathematical digits": (lambda code: code.translate(_shifted(0x1D7CE)), 401, "INVALID_CODE"),
    "without its leading digits": (lambda code: code[-5:], 401, "INVALID_CODE"),
    "with a seventh digit": (lambda code: code + "0", 401, "INVALID_CODE"),
    "sign": (lambda code: "+" + code, 401, "INVALID_CODE"),
    "underscores": (lambda code: f"{code[:3]}_{code[3:]}", 401, "INVALID_CODE"),
    "decimal point": (lambda code: code + ".0", 401, "INVALID_CODE"),
    "several at once": (lambda code: f"{code},{code}", 401, "INVALID_CODE"),
    "number": (int, 400, "VALIDATION_ERROR"),
    "list": (lambda code: [code], 400, "VALIDATION_ERROR"),
    "operator": (lambda code: {"$ne": code}, 400, "VALIDATION_ERROR"),
    "true": (lambda _: True, 400, "VALIDATION_ERROR"),
    "null": (lambda _: None, 400, "VALIDATION_ERROR"),
    "empty": (lambda _: "", 400, "VALIDATION_ERROR"),
    "endless": (lambda code: code * 1000, 400, "VALIDATION_ERROR"),
}


def _shifted(zero: int) -> dict[int, int]:
    return {ord("0") + digit: zero + digit for digit in range(10)}


@pytest.mark.parametrize("name", TYPED_CODES)
async def test_code_in_disguise(live: Live, victim: Account, name: str) -> None:
    disguise, status, refusal = TYPED_CODES[name]
    body = {"code": disguise(victim.has.code()), "challenge": await live.people.challenge(victim)}
    refused(await live.api.post("/two-factor/verify", body), status, refusal)


# --- guessing --------------------------------------------------------------------------------------------------------
async def test_finished_challenge_used_again(live: Live, victim: Account) -> None:
    challenge = await live.people.challenge(victim)
    Session.of(await live.people.verify(victim.has.code(), challenge=challenge))
    refused(await live.people.verify(victim.has.code(), challenge=challenge), 401, DEAD)
    refused(await live.people.redeem(victim.codes[-1], challenge=challenge), 401, DEAD)


async def test_sixth_guess_at_one_challenge(live: Live, victim: Account) -> None:
    challenge = await live.people.challenge(victim)
    for _ in range(5):
        refused(await live.people.verify(victim.has.wrong(), challenge=challenge), 401, "INVALID_CODE")
    right = victim.has.code()
    answer = await live.people.verify(right, challenge=challenge)
    refused(answer, 400, "TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE")
    refused(await live.people.verify(right, challenge=challenge), 401, DEAD)
    Session.of(await live.people.verify(right, challenge=await live.people.challenge(victim)))


async def test_guesses_split_between_both_kinds_of_code(live: Live, victim: Account) -> None:
    challenge = await live.people.challenge(victim)
    for number in range(5):
        if number % 2:
            answer = await live.people.redeem("0000-00000-00000-0000", challenge=challenge)
            refused(answer, 401, "INVALID_BACKUP_CODE")
        else:
            refused(await live.people.verify(victim.has.wrong(), challenge=challenge), 401, "INVALID_CODE")
    answer = await live.people.redeem(victim.codes[-1], challenge=challenge)
    refused(answer, 400, "TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE")


async def lock(live: Live, account: Account) -> None:
    """Guess until the account's second factors lock."""
    for _ in range(2):
        challenge = await live.people.challenge(account)
        for _ in range(5):
            refused(await live.people.verify(account.has.wrong(), challenge=challenge), 401, "INVALID_CODE")


async def test_new_challenges_for_more_guesses(live: Live, enrolled_user: AccountAndSession) -> None:
    """The account has a budget beside the challenge's; a right code is refused then too, and not spent."""
    account, session = enrolled_user
    await lock(live, account)
    code, backup = account.has.code(), account.codes[0]
    challenge = await live.people.challenge(account)
    answers = [
        await live.people.verify(code, challenge=challenge),
        await live.people.redeem(backup, challenge=challenge),
        await live.people.verify(code, bearer=session.token),
        await live.people.redeem(backup, bearer=session.token),
    ]
    for answer in answers:
        assert 890 < refused(answer, 429, "ACCOUNT_TEMPORARILY_LOCKED")["retryAfter"] <= 900
    assert await live.people.is_alive(session)
    assert (await live.people.two_factor(session))["backupCodesRemaining"] == 10


async def test_guesses_moved_to_the_changes_that_take_a_code(
    live: Live, enrolled_user: AccountAndSession
) -> None:
    """Step-up, disable and regenerate draw on the same budget."""
    account, session = enrolled_user
    for path in ("/two-factor/disable", "/two-factor/generate-backup-codes", "/two-factor/enable"):
        body: dict[str, object] = {"password": account.password, "code": account.has.wrong()}
        if path.endswith("enable"):
            body["replace"] = True
        for _ in range(3):
            refused(await live.api.post(path, body, bearer=session.token), 401, "INVALID_CODE")
    refused(await live.people.verify(account.has.wrong(), bearer=session.token), 401, "INVALID_CODE")
    answer = await live.people.verify(account.has.code(), bearer=session.token)
    refused(answer, 429, "ACCOUNT_TEMPORARILY_LOCKED")


async def fail_before(live: Live, account: Account, failures: int) -> None:
    """Let so many wrong codes have been tried, and their locks be over."""
    statement = (
        "INSERT INTO {}attempts (user_id, failures, locked_until, stopped) VALUES ($1, $2, NULL, FALSE)"
    )
    await sql(live.served.database_url, statement, account.id, failures)


@pytest.mark.parametrize(("failures", "minutes"), [(9, 15), (19, 30), (29, 60), (39, 60)])
async def test_patient_guessing(live: Live, victim: Account, failures: int, minutes: int) -> None:
    """Each further ten lock for longer."""
    await fail_before(live, victim, failures)
    challenge = await live.people.challenge(victim)
    refused(await live.people.verify(victim.has.wrong(), challenge=challenge), 401, "INVALID_CODE")
    answer = await live.people.verify(victim.has.code(), challenge=challenge)
    body = refused(answer, 429, "ACCOUNT_TEMPORARILY_LOCKED")
    assert minutes * 60 - 30 < body["retryAfter"] <= minutes * 60


async def test_very_patient_guessing(live: Live, victim: Account) -> None:
    """The fiftieth stops second factors until somebody helps; the right code does not help."""
    await fail_before(live, victim, 49)
    challenge = await live.people.challenge(victim)
    refused(await live.people.verify(victim.has.wrong(), challenge=challenge), 401, "INVALID_CODE")
    for _ in range(2):
        body = refused(
            await live.people.verify(victim.has.code(), challenge=challenge),
            429,
            "ACCOUNT_TEMPORARILY_LOCKED",
        )
        assert "retryAfter" not in body


async def test_challenge_that_is_over(live: Live, victim: Account) -> None:
    challenge = await live.people.challenge(victim)
    url = live.served.database_url
    await sql(url, "UPDATE {}challenges SET expires_at = created_at WHERE user_id = $1", victim.id)
    refused(await live.people.verify(victim.has.code(), challenge=challenge), 401, DEAD)


async def test_locking_somebody_out_without_their_password(live: Live, victim: Account) -> None:
    for _ in range(12):
        answer = await live.people.verify("000000", challenge=FORGED_CHALLENGES["unknown"])
        refused(answer, 401, DEAD)
        body = {"email": victim.email, "password": "not the password"}
        answer = await live.api.post("/sign-in/email", body)
        refused(answer, 401, "INVALID_EMAIL_OR_PASSWORD")
    await live.people.sign_in(victim)


# --- a challenge outlives nothing ------------------------------------------------------------------------------------


CHANGES = [change_password, revoke_others, ban, ban_and_unban, reset_two_factor, disable, replace_the_phone]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
async def test_challenge_from_before(
    live: Live, enrolled_user: AccountAndSession, root: Session, change: Any
) -> None:
    account, session = enrolled_user
    old_phone, old_codes = account.has, list(account.codes)
    challenge = await live.people.challenge(account)
    await change(live, root, account, session)
    for phone in (old_phone, account.has):
        refused(await live.people.verify(phone.code(), challenge=challenge), 401, DEAD)
    refused(await live.people.redeem(old_codes[0], challenge=challenge), 401, DEAD)


async def test_challenge_of_an_actor_type_that_was_removed(
    live: Live, root: Session, enrolled_user: AccountAndSession
) -> None:
    account, _ = enrolled_user
    path = f"/admin/users/{account.id}/actor-types"
    accepted(await live.api.post(path, {"add": ["merchant"]}, bearer=root.token))
    challenge = await live.people.challenge(account, "merchant")
    accepted(await live.api.post(path, {"remove": ["merchant"]}, bearer=root.token))
    refused(await live.people.verify(account.has.code(), challenge=challenge), 401, DEAD)


async def test_challenge_of_a_lesser_actor_type(
    live: Live, root: Session, enrolled_user: AccountAndSession
) -> None:
    """A customer's challenge never becomes a merchant's session."""
    account, _ = enrolled_user
    path = f"/admin/users/{account.id}/actor-types"
    accepted(await live.api.post(path, {"add": ["merchant"]}, bearer=root.token))
    challenge = await live.people.challenge(account)
    session = Session.of(await live.people.verify(account.has.code(), challenge=challenge))
    assert session.body["session"]["actorType"] == "customer"
