"""
Flows that change the same rows at once wait for each other in one order (`czo_auth.core.transaction`).

Another connection holds a row until each flow waits where it would meet the other. PostgreSQL looks for a deadlock only
after a minute here, when it has long been an outage for both: who locks in the other order is answered with 503.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from czo_auth.core.context import system_context
from tests.attacks.test_lists_and_keys_without_end import url_of
from tests.contract.acting import create_key, create_organization, join
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.database import PREFIX, sql
from tests.contract.databases import PostgresDatabases
from tests.contract.deployments import Timed
from tests.contract.people import Account, Session
from tests.contract.test_delete_user import delete
from tests.contract.test_deleted_addresses import prove
from tests.contract.test_second_factor import disable
from tests.support.records import some_codes

pytestmark = pytest.mark.each_database

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


class Meeting:
    """
    Flows that run into a held row, one after the other.

    Args:
        onlooker: A connection that sees who waits.
    """

    def __init__(self, onlooker: Any) -> None:
        self._onlooker = onlooker
        self._running: list[asyncio.Future[Any]] = []

    async def enters(self, flow: Awaitable[Any]) -> None:
        """Start *flow*, and wait until it waits for a lock."""
        self._running.append(asyncio.ensure_future(flow))
        async with asyncio.timeout(10):
            while await self._onlooker.fetchval(WAITING) < len(self._running):
                assert not self._running[-1].done(), f"it met nobody: {self._running[-1]}"
                await asyncio.sleep(0.01)

    async def results(self) -> list[Any]:
        """Return how the flows ended, in the order in which they entered."""
        return await asyncio.gather(*self._running, return_exceptions=True)


@asynccontextmanager
async def beside(here: Timed) -> AsyncIterator[tuple[Any, Meeting]]:
    """Give a connection in a transaction, which is undone at the end, and who meets there."""
    other: Any = await asyncpg.connect(url_of(here))
    onlooker: Any = await asyncpg.connect(url_of(here))
    transaction = other.transaction()
    await transaction.start()
    try:
        yield other, Meeting(onlooker)
    finally:
        await transaction.rollback()
        await other.close()
        await onlooker.close()


@asynccontextmanager
async def holding(here: Timed, rows: str, *values: object) -> AsyncIterator[Meeting]:
    """Hold the *rows* of a table and a condition; at the end they are released."""
    async with beside(here) as (other, meeting):
        assert await other.fetch(f"SELECT 1 FROM {PREFIX}{rows} FOR UPDATE", *values)
        yield meeting


@pytest.fixture
async def here(deploy_postgres: Deploy, postgres_databases: PostgresDatabases) -> Timed:
    """A deployment on PostgreSQL, in which a deadlock lasts longer than a request may wait."""
    url = postgres_databases.new()
    name = url.rpartition("/")[2]
    await sql(url, f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '1min'")
    return await deploy_postgres(url)


async def administrator(here: Timed) -> tuple[Account, Session]:
    account, session = await here.admin()
    return account, await here.people.enroll(account, session)


async def organization_with(here: Timed, *members: tuple[Account, Session]) -> tuple[str, Session]:
    """Let somebody found an organization, and *members* join; gives it and the owner's session."""
    _, owner = await here.people.newcomer()
    organization = await create_organization(here.api, owner)
    for member in members:
        await join(here.api, owner, organization, member)
    return organization, owner


# --- the challenges of a user, then their failures -------------------------------------------------------------------
OF_USER = "challenges WHERE user_id = $1"


async def guess(here: Timed, account: Account) -> Awaitable[Any]:
    """Begin a sign-in; gives a wrong code for it, which counts on its challenge and on the account."""
    challenge = await here.people.challenge(account)
    return here.people.verify(account.has.wrong(), challenge=challenge)


async def test_another_app_is_confirmed_beside_a_guess(here: Timed) -> None:
    account, session = await here.people.enrolled()
    guessing = await guess(here, account)
    await here.people.enable(account, session, replace=True)
    async with holding(here, OF_USER, account.id) as row:
        await row.enters(guessing)
        await row.enters(here.people.verify(account.has.code(), bearer=session.token))
    guessed, confirmed = await row.results()
    refused(guessed, 401, "INVALID_CODE")
    accepted(confirmed)


async def test_factors_are_reset_beside_a_guess(here: Timed) -> None:
    account = here.carol
    refused(await (await guess(here, account)), 401, "INVALID_CODE")
    guessing, context = await guess(here, account), system_context(here.clock())
    async with holding(here, f"{OF_USER} AND attempts = 0", account.id) as row:
        await row.enters(guessing)
        await row.enters(here.auth.recovery.reset_now(account.id, reason="lost", context=context))
    guessed, reset = await row.results()
    refused(guessed, 401, "INVALID_CODE")
    assert reset is None
    accepted(await here.people.begin(account))


async def test_factor_is_turned_off_with_a_code_beside_a_guess(here: Timed) -> None:
    account, session = await here.people.enrolled()
    here.time.advance(minutes=11)
    guessing, code = await guess(here, account), account.has.code()
    async with holding(here, OF_USER, account.id) as row:
        await row.enters(guessing)
        await row.enters(disable(here, account, session, code=code))
    guessed, disabled = await row.results()
    refused(guessed, 401, "INVALID_CODE")
    accepted(disabled)


# --- a user, then the links that were mailed to them -----------------------------------------------------------------
async def test_two_links_of_a_user_set_a_password(here: Timed) -> None:
    account = await here.people.sign_up()
    for number in range(2):
        accepted(await here.api.post("/request-password-reset", {"email": account.email}))
        await here.mail.token(account.email, "password_reset", after=number)
    async with holding(here, "users WHERE id = $1", account.id) as row:
        for token in here.mail.tokens(account.email, "password_reset"):
            body = {"token": token, "newPassword": "a wholly different passphrase"}
            await row.enters(here.api.post("/reset-password", body))
    first, second = await row.results()
    accepted(first)
    refused(second, 400, "INVALID_TOKEN")


async def test_address_is_confirmed_beside_a_ban(here: Timed) -> None:
    account = await here.people.sign_up()
    accepted(await here.api.post("/send-verification-email", {"email": account.email}))
    token = await here.mail.token(account.email, "verification")
    context = system_context(here.clock())
    async with holding(here, "users WHERE id = $1", account.id) as row:
        await row.enters(here.auth.administration.ban(account.id, reason="fraud", context=context))
        await row.enters(here.api.get(f"/verify-email?token={token}"))
    banned, confirmed = await row.results()
    assert banned.banned_at is not None
    refused(confirmed, 400, "INVALID_TOKEN")


async def test_account_is_deleted_while_its_codes_are_stored(here: Timed) -> None:
    """The codes need the row of their user, after the enrollment's."""
    account, session = await here.people.newcomer()
    await here.people.enable(account, session)
    await here.auth.services.background.finish()
    await sql(url_of(here), "DELETE FROM {}backup_codes")
    ((enrollment,),) = await sql(url_of(here), "SELECT id FROM {}enrolments WHERE user_id = $1", account.id)
    codes = some_codes(1)
    store = here.auth.services.transactions.run(
        lambda tx: tx.two_factor.put_pending_codes(enrollment, account.id, codes)
    )
    async with beside(here) as (other, row):
        # A code of the same name holds them up; written without the check of its user, whose row stays free.
        await other.execute("SET LOCAL session_replication_role = replica")
        await other.execute(
            f"INSERT INTO {PREFIX}backup_codes (id, user_id, set_id, selector, hash) VALUES ($1, $2, $3, $4, 'x')",
            *(f"{enrollment}.{codes[0].selector}", account.id, enrollment, codes[0].selector),
        )
        await row.enters(store)
        await row.enters(delete(here, session, password=account.password))
    stored, deleted = await row.results()
    assert stored is True
    accepted(deleted)


async def test_account_is_deleted_while_somebody_changes_to_its_address(here: Timed) -> None:
    asking, session = await here.people.newcomer()
    accepted(await here.api.post("/change-email", {"newEmail": "wanted@example.com"}, bearer=session.token))
    token = await here.mail.token("wanted@example.com", "email_change")
    body = {"email": "wanted@example.com", "password": asking.password, "name": "Bea"}
    accepted(await here.api.post("/customer/sign-up", body), 201)
    owner = await here.people.sign_in(Account(email="wanted@example.com"))
    await prove(here, "wanted@example.com")
    async with holding(here, "email_changes WHERE user_id = $1", asking.id) as row:
        await row.enters(here.api.get(f"/verify-email?token={token}"))
        await row.enters(delete(here, owner))
    confirmed, deleted = await row.results()
    refused(confirmed, 422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL")
    accepted(deleted)


# --- organizations, then users in the order of their ids -------------------------------------------------------------
async def test_organization_is_handed_over_beside_a_key_of_the_administrator(here: Timed) -> None:
    ada, admin = await administrator(here)
    organization, _ = await organization_with(here, (ada, admin))
    body = {"userId": ada.id, "reason": "the owner left"}
    async with holding(here, "organizations WHERE id = $1", organization) as row:
        await row.enters(create_key(here.api, admin, organizationId=organization))
        await row.enters(
            here.api.post(f"/admin/organizations/{organization}/owner", body, bearer=admin.token)
        )
    created, handed_over = await row.results()
    assert created["organizationId"] == organization
    refused(handed_over, 409, "OWNER_EXISTS")


async def test_administrator_acts_on_a_member_of_an_organization_that_is_deleted(here: Timed) -> None:
    member, session = await here.people.newcomer()
    here.time.advance(seconds=1)
    ada, admin = await administrator(here)
    assert member.id < ada.id
    organization, owner = await organization_with(here, (member, session), (ada, admin))
    async with holding(here, "users WHERE id = $1", member.id) as row:
        await row.enters(here.api.delete(f"/organizations/{organization}", bearer=owner.token))
        path = f"/admin/users/{member.id}/actor-types"
        await row.enters(here.api.post(path, {"add": ["admin"]}, bearer=admin.token))
    for answer in await row.results():
        assert answer.status_code in (200, 204), answer.text


# --- what changes rows of many owners --------------------------------------------------------------------------------
async def test_last_uses_are_written_beside_the_end_of_all_sessions(here: Timed) -> None:
    """The uses of a session that is held wait for the next time, and those of the others do not."""
    account, first = await here.people.newcomer()
    here.time.advance(seconds=1)
    second = await here.people.sign_in(account)
    here.time.advance(minutes=2)
    for session in (first, second):
        accepted(await here.api.get("/session", bearer=session.token))
    flush, context = here.auth._housekeeping.flush_session_uses, system_context(here.clock())
    async with holding(here, "sessions WHERE id = $1", second.id) as row:
        await row.enters(here.auth.administer_accounts.end_sessions(account.id, context=context))
        assert await flush() is False
    assert await row.results() == [None]
    assert await flush() is True
