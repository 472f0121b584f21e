"""S43: the address of a deleted account leaves the changes of address that others asked for (contract-2 section 12)."""

from __future__ import annotations

import asyncio

from tests.contract.acting import create_organization
from tests.contract.checks import accepted, refused
from tests.contract.database import everything
from tests.contract.deployments import Timed
from tests.contract.people import PASSWORD, Account, Session
from tests.contract.test_change_email import asked, change, confirm, take_back
from tests.contract.test_delete_user import delete, is_whole

WANTED = "wanted@example.com"


async def sign_up(here: Timed, email: str) -> Session:
    body = {"email": email, "password": PASSWORD, "name": "Bea"}
    accepted(await here.api.post("/customer/sign-up", body), 201)
    return await here.people.sign_in(Account(email=email))


async def prove(here: Timed, email: str) -> None:
    """Confirm the address of an account by the link to it."""
    accepted(await here.api.post("/send-verification-email", {"email": email}))
    accepted(await confirm(here, await here.mail.token(email, "verification")))


async def is_kept(here: Timed, email: str) -> bool:
    return email in await everything(here.auth.settings.storage_url)


async def exported_changes(here: Timed, session: Session) -> list[tuple[str, str | None]]:
    """List the old and new address of each change in the export, newest first."""
    document = accepted(await here.api.get("/user/export", bearer=session.token))
    return [(each["previousEmail"], each["newEmail"]) for each in document["emailChanges"]]


async def test_address_leaves_the_request_of_somebody_else(timed: Timed) -> None:
    owner = await sign_up(timed, WANTED)
    account, session = await timed.people.newcomer()
    accepted(await change(timed, session, "Wanted@example.com"))
    assert not await is_kept(timed, "Wanted@example.com"), "as it was typed"
    revert = await timed.mail.token(account.email, "email_change_notice")
    before = await exported_changes(timed, session)
    accepted(await delete(timed, owner))
    assert not await is_kept(timed, WANTED)
    assert not await is_kept(timed, "Wanted@example.com"), "as it was typed"
    assert await is_whole(timed)
    assert await exported_changes(timed, session) == before == [(account.email, None)], "tells nothing"
    accepted(await take_back(timed, revert))
    assert not await timed.people.is_alive(session), "the notice still ends what its reader did not ask for"


async def test_link_to_the_address_is_over_and_a_new_request_works(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    token, revert = await asked(timed, session, account, WANTED.capitalize())
    owner = await sign_up(timed, WANTED)
    await prove(timed, WANTED)
    accepted(await delete(timed, owner))
    assert not await is_kept(timed, WANTED)
    assert not await is_kept(timed, WANTED.capitalize()), "as it was typed"
    refused(await confirm(timed, token), 400, "INVALID_TOKEN")
    assert accepted(await timed.api.get("/session", bearer=session.token))["user"]["email"] == account.email
    timed.time.advance(seconds=1)
    again, _ = await asked(timed, session, account, WANTED)
    accepted(await confirm(timed, again))
    assert await exported_changes(timed, session) == [(account.email, WANTED), (account.email, None)]
    accepted(await take_back(timed, revert))
    await timed.people.sign_in(account)


async def test_stranger_who_signs_up_and_deletes_the_account_ends_no_request(timed: Timed) -> None:
    """Anyone can sign up with an address and delete the account; the link was mailed to whom the address belongs to."""
    account, session = await timed.people.newcomer()
    token, _ = await asked(timed, session, account, WANTED)
    before = await exported_changes(timed, session)
    assert before == [(account.email, None)], "until it is confirmed, the address may be somebody else's"
    stranger = await sign_up(timed, WANTED)
    refused(await confirm(timed, token), 422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL")
    accepted(await delete(timed, stranger))
    assert await exported_changes(timed, session) == before, "tells nothing"
    assert await is_whole(timed)
    accepted(await confirm(timed, token))
    assert await exported_changes(timed, session) == [(account.email, WANTED)]


async def test_stranger_who_gave_the_address_up_ends_no_request_either(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    token, _ = await asked(timed, session, account, WANTED)
    stranger = await sign_up(timed, WANTED)
    moved, _ = await asked(timed, stranger, Account(email=WANTED), "moved@example.com")
    accepted(await confirm(timed, moved))
    accepted(await delete(timed, stranger))
    accepted(await confirm(timed, token))


async def test_address_of_a_stranger_leaves_the_request_a_day_later(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    token, revert = await asked(timed, session, account, WANTED.capitalize())
    accepted(await delete(timed, await sign_up(timed, WANTED)))
    await timed.runtime._housekeeping.tidy()
    assert await is_kept(timed, WANTED)
    timed.time.advance(days=1)
    await timed.runtime._housekeeping.tidy()
    assert not await is_kept(timed, WANTED)
    assert not await is_kept(timed, WANTED.capitalize()), "as it was typed"
    refused(await confirm(timed, token), 400, "INVALID_TOKEN")
    accepted(await take_back(timed, revert))


async def test_address_leaves_requests_that_were_replaced_or_refused(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    refusing, _ = await asked(timed, session, account, WANTED)
    accepted(await timed.api.post("/reject-verification", {"token": refusing}))
    await asked(timed, session, account, WANTED)
    kept, _ = await asked(timed, session, account, "other@example.com")
    accepted(await delete(timed, await sign_up(timed, WANTED)))
    assert not await is_kept(timed, WANTED)
    accepted(await confirm(timed, kept))


async def test_addresses_given_up_within_days_leave_with_the_account(timed: Timed) -> None:
    owner = await timed.people.sign_in(earlier := await timed.people.sign_up())
    _, boss = await timed.people.newcomer()
    organization = await create_organization(timed.api, boss)
    body = {"email": earlier.email, "role": "member"}
    accepted(await timed.api.post(f"/organizations/{organization}/invitations", body, bearer=boss.token), 201)
    accepted(await change(timed, boss, earlier.email))
    token, _ = await asked(timed, owner, earlier, WANTED)
    accepted(await confirm(timed, token))
    accepted(await delete(timed, owner))
    assert not await is_kept(timed, earlier.email)
    assert not await is_kept(timed, WANTED)


async def test_address_that_somebody_else_had_before_stays_theirs(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    token, revert = await asked(timed, session, account, WANTED)
    accepted(await confirm(timed, token))
    accepted(await take_back(timed, revert))
    accepted(await delete(timed, await sign_up(timed, WANTED)))
    session = await timed.people.sign_in(account)
    assert await exported_changes(timed, session) == [(account.email, WANTED)]


async def test_confirmation_during_the_deletion_takes_the_address_or_nothing(timed: Timed) -> None:
    for each in range(4):
        account, session = await timed.people.newcomer()
        wanted = f"wanted-{each}@example.com"
        token, _ = await asked(timed, session, account, wanted)
        owner = await sign_up(timed, wanted)
        await prove(timed, wanted)
        answer, deletion = await asyncio.gather(confirm(timed, token), delete(timed, owner))
        accepted(deletion)
        assert answer.status_code in (400, 422), answer.text
        assert not await is_kept(timed, wanted)
