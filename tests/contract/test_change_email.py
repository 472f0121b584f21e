"""Changing the address of an account, and taking it back (contract-2 section 12)."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.acting import create_key, is_accepted
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.deployments import Timed
from tests.contract.people import PASSWORD, Account, Session

NEW = "ada.new@example.com"
OTHER = "https://elsewhere.example/welcome"


async def change(here: Timed, session: Session, new: str = NEW, **more: object) -> Answer:
    return await here.api.post("/change-email", {"newEmail": new, **more}, bearer=session.token)


async def asked(here: Timed, session: Session, account: Account, new: str = NEW) -> tuple[str, str]:
    """Ask for a change; gives the tokens of the link to the new address and of the one to the old."""
    before = len(here.mail.tokens(account.email, "email_change_notice"))
    links = len(here.mail.tokens(new, "email_change"))
    assert accepted(await change(here, session, new)) == {"status": True}
    return (
        await here.mail.token(new, "email_change", after=links),
        await here.mail.token(account.email, "email_change_notice", after=before),
    )


async def confirm(here: Timed, token: str) -> Answer:
    return await here.api.get(f"/verify-email?token={token}")


async def take_back(here: Timed, token: str) -> Answer:
    return await here.api.post("/revert-email-change", {"token": token})


async def test_nothing_changes_until_the_link_is_used(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    other = await timed.people.sign_in(account)
    key = await create_key(timed.api, session)
    token, _ = await asked(timed, session, account)
    user = accepted(await timed.api.get("/session", bearer=session.token))["user"]
    assert (user["email"], user["emailVerified"]) == (account.email, False)
    assert await timed.people.is_alive(other)

    answer = accepted(await confirm(timed, token))
    assert answer["status"] is True
    user = accepted(await timed.api.get("/session", bearer=session.token))["user"]
    assert (user["email"], user["emailVerified"]) == (NEW, True)
    assert not await timed.people.is_alive(other), "all sessions but the asking one end"
    assert await is_accepted(timed.api, key["key"])
    refused(await timed.people.begin(account), 401, "INVALID_EMAIL_OR_PASSWORD")
    account.email = NEW
    await timed.people.sign_in(account)
    # A link that was used already answers the same.
    assert accepted(await confirm(timed, token))["status"] is True


async def test_asking_session_stays_valid_when_it_was_renewed_in_the_meantime(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    token, _ = await asked(timed, session, account)
    timed.time.advance(minutes=1)
    renewed = await timed.people.enroll(account, session)
    accepted(await confirm(timed, token))
    assert await timed.people.is_alive(renewed)


async def test_answer_is_the_same_for_an_address_that_is_taken(timed: Timed) -> None:
    taken = await timed.people.sign_up()
    account, session = await timed.people.newcomer()
    answer = await change(timed, session, taken.email.upper())
    assert accepted(answer) == {"status": True}
    await timed.mail.token(account.email, "email_change_notice")
    assert timed.mail.tokens(taken.email, "email_change") == []
    assert [one.kind for one in timed.mail.messages if one.to.lower() == taken.email] == [
        "email_change_taken"
    ]


async def test_address_that_was_taken_in_the_meantime_is_refused(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    token, _ = await asked(timed, session, account)
    body = {"email": NEW, "password": PASSWORD, "name": "Eve"}
    accepted(await timed.api.post("/customer/sign-up", body), 201)
    refused(await confirm(timed, token), 422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL")
    user = accepted(await timed.api.get("/session", bearer=session.token))["user"]
    assert user["email"] == account.email


async def test_later_request_replaces_an_earlier_one(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    first, revert_first = await asked(timed, session, account)
    second, _ = await asked(timed, session, account, "second@example.com")
    refused(await confirm(timed, first), 400, "INVALID_TOKEN")
    accepted(await confirm(timed, second))
    # The first notice still leads back: its reader did not ask for any of it.
    accepted(await take_back(timed, revert_first))
    account.password = PASSWORD
    user = (await timed.people.sign_in(account)).body["user"]
    assert user["email"] == account.email


@pytest.mark.parametrize("confirmed", [False, True])
async def test_old_address_takes_the_change_back_for_seven_days(timed: Timed, *, confirmed: bool) -> None:
    account, session = await timed.people.newcomer()
    token, revert = await asked(timed, session, account)
    if confirmed:
        accepted(await confirm(timed, token))
    timed.time.advance(days=6, hours=23)
    again = await timed.people.sign_in(Account(email=NEW if confirmed else account.email))
    assert accepted(await take_back(timed, revert)) == {"status": True}
    assert not await timed.people.is_alive(again)
    refused(await confirm(timed, token), 400, "INVALID_TOKEN")
    back = await timed.people.sign_in(account)
    assert (back.body["user"]["email"], back.body["user"]["emailVerified"]) == (account.email, confirmed)
    refused(await take_back(timed, revert), 400, "INVALID_TOKEN")


async def test_after_seven_days_the_change_stays(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    token, revert = await asked(timed, session, account)
    accepted(await confirm(timed, token))
    timed.time.advance(days=7, minutes=1)
    refused(await take_back(timed, revert), 400, "INVALID_TOKEN")


async def test_address_that_was_given_up_is_nobody_elses_while_it_can_be_taken_back(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    token, revert = await asked(timed, session, account)
    accepted(await confirm(timed, token))
    body = {"email": account.email, "password": PASSWORD, "name": "Eve"}
    taken = "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL"
    refused(await timed.api.post("/customer/sign-up", body), 422, taken)
    _, thief = await timed.people.newcomer()
    accepted(await change(timed, thief, account.email))
    accepted(await take_back(timed, revert))
    timed.time.advance(days=8)


async def test_link_works_for_a_day(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    token, _ = await asked(timed, session, account)
    timed.time.advance(days=1, minutes=1)
    refused(await confirm(timed, token), 400, "INVALID_TOKEN")


async def test_pending_resets_die_with_the_old_address(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    accepted(await timed.api.post("/request-password-reset", {"email": account.email}))
    reset = await timed.mail.token(account.email, "password_reset")
    token, _ = await asked(timed, session, account)
    accepted(await confirm(timed, token))
    body = {"token": reset, "newPassword": "a wholly different passphrase"}
    refused(await timed.api.post("/reset-password", body), 400, "INVALID_TOKEN")


async def test_recent_proof_is_needed_and_can_be_sent_along(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    timed.time.advance(minutes=11)
    refused(await change(timed, session), 403, "REAUTHENTICATION_REQUIRED")
    refused(await change(timed, session, password="not the password"), 400, "INVALID_PASSWORD")
    accepted(await change(timed, session, password=account.password))
    key = await create_key(timed.api, await timed.people.sign_in(account))
    answer = await timed.api.post("/change-email", {"newEmail": NEW}, bearer=key["key"])
    refused(answer, 403, "SESSION_REQUIRED")


async def test_second_factor_counts_as_proof(timed: Timed) -> None:
    account, session = await timed.people.enrolled()
    timed.time.advance(minutes=11)
    refused(await change(timed, session, password=account.password), 403, "REAUTHENTICATION_REQUIRED")
    wrong = await change(timed, session, password=account.password, code=account.has.wrong())
    refused(wrong, 401, "INVALID_CODE")
    accepted(await change(timed, session, password=account.password, code=account.has.code()))


@pytest.mark.parametrize(
    "url", [OTHER, "//elsewhere.example", "https://app.example@elsewhere.example", "javascript:x"]
)
async def test_callback_outside_trusted_origins_is_refused(timed: Timed, url: str) -> None:
    _, session = await timed.people.newcomer()
    refused(await change(timed, session, callbackURL=url), 403, "INVALID_CALLBACK_URL")
    accepted(await change(timed, session, callbackURL="https://app.example/welcome"))


@pytest.mark.parametrize("new", ["", "no address", "a@b@c", "x" * 400 + "@example.com"])
async def test_what_is_not_an_address_is_refused(timed: Timed, new: str) -> None:
    _, session = await timed.people.newcomer()
    body = refused(await change(timed, session, new), 400, "VALIDATION_ERROR")
    assert [detail["loc"] for detail in body["details"]] == ["newEmail"]


async def test_owner_of_the_new_address_refuses_and_the_account_stays(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    token, _ = await asked(timed, session, account)
    assert accepted(await timed.api.post("/reject-verification", {"token": token})) == {"status": True}
    refused(await confirm(timed, token), 400, "INVALID_TOKEN")
    refused(await timed.api.post("/reject-verification", {"token": token}), 400, "INVALID_TOKEN")
    assert await timed.people.is_alive(session)


async def test_refused_request_can_still_be_taken_back_from_the_old_address(timed: Timed) -> None:
    """Somebody who took over a session may have asked for a mailbox of their own: its link must not end the owner's."""
    account, session = await timed.people.newcomer()
    token, revert = await asked(timed, session, account)
    accepted(await timed.api.post("/reject-verification", {"token": token}))
    assert accepted(await take_back(timed, revert)) == {"status": True}
    assert not await timed.people.is_alive(session)


async def test_request_that_was_replaced_is_not_refused_and_its_notice_leads_back(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    first, revert_first = await asked(timed, session, account)
    second, _ = await asked(timed, session, account, "second@example.com")
    refused(await timed.api.post("/reject-verification", {"token": first}), 400, "INVALID_TOKEN")
    accepted(await confirm(timed, second))
    refused(await timed.api.post("/reject-verification", {"token": first}), 400, "INVALID_TOKEN")
    accepted(await take_back(timed, revert_first))
    assert (await timed.people.sign_in(account)).body["user"]["email"] == account.email


async def test_one_of_many_confirmations_at_once_changes_it(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    token, revert = await asked(timed, session, account)
    answers = await asyncio.gather(*(confirm(timed, token) for _ in range(6)), take_back(timed, revert))
    assert {answer.status_code for answer in answers[:-1]} <= {200, 400}
    assert answers[-1].status_code == 200
    await timed.people.sign_in(account)


async def test_sign_in_at_the_same_moment_does_not_outlive_the_change(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    token, _ = await asked(timed, session, account)
    entering = [timed.people.begin(account) for _ in range(4)]
    answers = await asyncio.gather(*entering, confirm(timed, token))
    accepted(answers[-1])
    for answer in answers[:-1]:
        if answer.status_code == 200:
            assert not await timed.people.is_alive(Session.of(answer))


async def test_two_who_want_one_address_get_it_once(timed: Timed) -> None:
    tokens = []
    for _ in range(3):
        account, session = await timed.people.newcomer()
        tokens.append((await asked(timed, session, account))[0])
    answers = await asyncio.gather(*(confirm(timed, token) for token in tokens))
    assert sorted(answer.status_code for answer in answers) == [200, 422, 422]
