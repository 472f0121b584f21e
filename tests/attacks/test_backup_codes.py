"""Attacks on backup codes (S4, S5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.people import Account, Session

pytestmark = pytest.mark.deep

AccountAndSession = tuple[Account, Session]


async def redeem(live: Live, account: Account, code: Any) -> Answer:
    """Try a backup code at a sign-in of its own."""
    return await live.people.redeem(code, challenge=await live.people.challenge(account))


@pytest.mark.parametrize(
    "respell",
    [str, str.lower, lambda code: code.replace("-", ""), lambda code: f" {' '.join(code)} "],
    ids=["same", "lower case", "without dashes", "spaces"],
)
async def test_used_code_in_another_spelling(live: Live, victim: Account, respell: Any) -> None:
    code = victim.codes.pop()
    Session.of(await redeem(live, victim, code))
    refused(await redeem(live, victim, respell(code)), 401, "INVALID_BACKUP_CODE")


async def test_used_code_in_a_session(live: Live, victim: Account) -> None:
    code = victim.codes.pop()
    session = Session.of(await redeem(live, victim, code))
    refused(await live.people.redeem(code, bearer=session.token), 401, "INVALID_BACKUP_CODE")


async def test_code_used_in_a_session_at_sign_in(live: Live, victim: Account) -> None:
    session = await live.people.sign_in(victim)
    code = victim.codes.pop()
    Session.of(await live.people.redeem(code, bearer=session.token))
    refused(await redeem(live, victim, code), 401, "INVALID_BACKUP_CODE")


async def test_code_used_for_a_change(live: Live, enrolled_user: AccountAndSession) -> None:
    account, session = enrolled_user
    code = account.codes[0]
    body = {"password": account.password, "code": code, "replace": True}
    accepted(await live.api.post("/two-factor/enable", body, bearer=session.token))
    refused(await redeem(live, account, code), 401, "INVALID_BACKUP_CODE")


async def test_code_of_somebody_else(live: Live, victim: Account, enrolled_user: AccountAndSession) -> None:
    refused(await redeem(live, victim, enrolled_user[0].codes[0]), 401, "INVALID_BACKUP_CODE")
    Session.of(await redeem(live, enrolled_user[0], enrolled_user[0].codes[0]))


async def test_secret_of_one_code_under_the_selector_of_another(live: Live, victim: Account) -> None:
    first, second = victim.codes[-1], victim.codes[-2]
    refused(await redeem(live, victim, first[:4] + second[4:]), 401, "INVALID_BACKUP_CODE")


@pytest.mark.parametrize("place", [0, 5, -1], ids=["selector", "secret", "last character"])
async def test_code_with_one_character_changed(live: Live, victim: Account, place: int) -> None:
    code = list(victim.codes[-1])
    code[place] = "7" if code[place] != "7" else "8"
    refused(await redeem(live, victim, "".join(code)), 401, "INVALID_BACKUP_CODE")


WRONG_FORMS: dict[str, Callable[[str], str]] = {
    "selector alone": lambda code: code[:4],
    "secret alone": lambda code: code[5:],
    "first half": lambda code: code[:10],
    "twice": lambda code: code + code,
    "like pattern": lambda code: code[:4] + "%" * 14,
    "underscores": lambda code: code[:4] + "_" * 14,
    "bcrypt hash": lambda _: "$2b$10$d.XTrJChhC5EmRm38TnYh.CcWh6n/0Cy.DL8FjOtVl9dQSBF/InE6",
    "full-width": lambda code: "".join(chr(ord(each) + 0xFEE0) if each != "-" else each for each in code),
    "long s and dotless i": lambda code: code[:-2] + "ſı",
    "a TOTP code": lambda _: "123456",
}


@pytest.mark.parametrize("name", WRONG_FORMS)
async def test_code_in_a_wrong_form(live: Live, victim: Account, name: str) -> None:
    refused(await redeem(live, victim, WRONG_FORMS[name](victim.codes[-1])), 401, "INVALID_BACKUP_CODE")


async def test_telling_selectors_apart_by_the_answer(live: Live, victim: Account) -> None:
    known = victim.codes[-1][:4] + "-00000-00000-0000"
    answers = [await redeem(live, victim, code) for code in (known, "0000-00000-00000-0000", "nonsense")]
    assert len({answer.text for answer in answers}) == 1


async def test_codes_of_the_set_before(live: Live, enrolled_user: AccountAndSession) -> None:
    account, session = enrolled_user
    answer = await live.api.post(
        "/two-factor/generate-backup-codes", {"password": account.password}, bearer=session.token
    )
    fresh = accepted(answer)["backupCodes"]
    for code in account.codes[:3]:
        refused(await redeem(live, account, code), 401, "INVALID_BACKUP_CODE")
    Session.of(await redeem(live, account, fresh[0]))


async def test_codes_of_a_factor_that_was_turned_off_and_on(
    live: Live, enrolled_user: AccountAndSession
) -> None:
    account, session = enrolled_user
    old = account.codes
    body = {"password": account.password}
    accepted(await live.api.post("/two-factor/disable", body, bearer=session.token))
    account.phone = None
    await live.people.enroll(account, await live.people.sign_in(account))
    refused(await redeem(live, account, old[0]), 401, "INVALID_BACKUP_CODE")
    Session.of(await redeem(live, account, account.codes[0]))


async def test_backup_code_where_a_totp_code_belongs(live: Live, victim: Account) -> None:
    challenge = await live.people.challenge(victim)
    refused(await live.people.verify(victim.codes[-1], challenge=challenge), 401, "INVALID_CODE")


async def test_guessing_with_many_challenges(live: Live, enrolled_user: AccountAndSession) -> None:
    account, _ = enrolled_user
    for _ in range(10):
        refused(await redeem(live, account, "0000-00000-00000-0000"), 401, "INVALID_BACKUP_CODE")
    refused(await redeem(live, account, account.codes[0]), 429, "ACCOUNT_TEMPORARILY_LOCKED")


async def test_refreshed_session_still_names_the_backup_code(live: Live, victim: Account) -> None:
    """`amr` tells how one got in, and refreshing never raises it."""
    session = Session.of(await redeem(live, victim, victim.codes.pop()))
    answer = await live.api.post("/token/refresh", {"refreshToken": session.refresh_token})
    reported = accepted(await live.api.get("/whoami", bearer=accepted(answer)["accessToken"]))
    assert reported["amr"] == ["pwd", "bkp"]
