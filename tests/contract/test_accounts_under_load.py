"""Accounts that are exported, deleted or moved while a lot is kept about them, or while others work on them."""

from __future__ import annotations

import asyncio

import pytest

from czo_auth.core.context import system_context
from czo_auth.core.events.types import REAUTHENTICATED, AuditEvent
from czo_auth.core.flows.administration.import_users import ImportUsers, SourceUser
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User
from tests.attacks.test_lists_and_keys_without_end import DAY, SECOND, add_keys, url_of
from tests.contract.checks import accepted, refused
from tests.contract.database import everything, sql
from tests.contract.deployments import Timed
from tests.contract.people import PASSWORD, Account, Session
from tests.contract.test_change_email import NEW, asked, change, confirm
from tests.contract.test_delete_user import delete, is_whole
from tests.contract.test_statements import counted

MANY = 10_000


# --- export ----------------------------------------------------------------------------------------------------------
@pytest.mark.deep
async def test_export_of_ten_thousand_records_and_keys_asks_for_batches_and_is_complete(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    for _ in range(MANY // 500):

        def record(tx: Transaction) -> None:
            for _ in range(500):
                tx.record(AuditEvent(action=REAUTHENTICATED, user_id=account.id))

        await timed.auth.services.transactions.run(record, system_context(timed.clock()))
    await add_keys(url_of(timed), account.id, MANY, created_at=timed.clock() - DAY, lives=SECOND)
    put = "INSERT INTO {}api_key_usage (api_key_id, day, used, refused) SELECT id, $1, 3, 1 FROM {}api_keys"
    day = timed.clock().date()
    await sql(url_of(timed), put, str(day) if url_of(timed).startswith("sqlite") else day)
    async with counted(timed) as statements:
        document = accepted(await timed.api.get("/user/export", bearer=session.token))
    assert [one["action"] for one in document["audit"]].count(REAUTHENTICATED) == MANY
    assert len({one["id"] for one in document["audit"]}) == len(document["audit"])
    assert len({one["id"] for one in document["apiKeys"]}) == MANY
    assert all([each["used"] for each in one["usage"]] == [3] for one in document["apiKeys"])
    assert len(statements) < 120, "batches of audit records, and a few for all keys together"


# --- an import beside other work -------------------------------------------------------------------------------------
def known(account: Account, name: str = "Imported") -> SourceUser:
    return SourceUser(email=account.email, name=name, password_hash=None)


@pytest.mark.each_database
async def test_user_deleted_during_an_import_is_whole_or_gone(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    importing = ImportUsers(timed.auth.services)
    outcomes = await asyncio.gather(
        *(
            importing.import_user(known(account, f"Name {each}"), context=system_context(timed.clock()))
            for each in range(4)
        ),
        delete(timed, session),
        *(
            importing.import_user(known(account, f"Name {each}"), context=system_context(timed.clock()))
            for each in range(4)
        ),
    )
    assert accepted(outcomes[4])["success"] is True
    assert {*outcomes[:4], *outcomes[5:]} <= {"imported", "updated", "unchanged"}
    rows = await sql(url_of(timed), "SELECT id, password_hash FROM {}users WHERE email = $1", account.email)
    if rows:
        assert rows[0][0] != account.id, "somebody new, with nothing of the one who left"
        assert rows[0][1] is None
    else:
        assert account.email not in await everything(url_of(timed))
    assert not await timed.people.is_alive(session)
    assert await is_whole(timed)


@pytest.mark.each_database
async def test_imports_of_one_new_user_at_once_make_one(timed: Timed) -> None:
    account = Account(email="twice@example.com")
    importing = ImportUsers(timed.auth.services)
    outcomes = await asyncio.gather(
        *(importing.import_user(known(account), context=system_context(timed.clock())) for _ in range(6))
    )
    assert sorted(outcomes) == ["imported", *["unchanged"] * 5]


@pytest.mark.each_database
async def test_import_that_found_somebody_who_is_gone_makes_a_new_user(
    timed: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, session = await timed.people.newcomer()
    found = await timed.auth.services.transactions.read(lambda tx: tx.users.find(account.id))
    accepted(await delete(timed, session))

    def find(_self: ImportUsers, _tx: Transaction, _user: User) -> User | None:
        """As PostgreSQL shows a row whose deletion is not committed yet."""
        return found

    monkeypatch.setattr(ImportUsers, "_find", find)
    outcome = await ImportUsers(timed.auth.services).import_user(
        known(account), context=system_context(timed.clock())
    )
    assert outcome == "imported"
    rows = await sql(url_of(timed), "SELECT name FROM {}users WHERE email = $1", account.email)
    assert rows == [("Imported",)]


# --- a change of address beside other work ---------------------------------------------------------------------------
@pytest.mark.each_database
async def test_reset_at_the_same_moment_as_a_change_of_address_leaves_one_way_in(timed: Timed) -> None:
    """Whichever comes first: the account has one address and one password, and a thief no session."""
    account, session = await timed.people.newcomer()
    thief = await timed.people.sign_in(account)
    accepted(await timed.api.post("/request-password-reset", {"email": account.email}))
    reset = await timed.mail.token(account.email, "password_reset")
    token, _ = await asked(timed, session, account)
    chosen = "a wholly different passphrase"
    changed, is_reset = await asyncio.gather(
        confirm(timed, token), timed.api.post("/reset-password", {"token": reset, "newPassword": chosen})
    )
    assert (changed.status_code, is_reset.status_code) in {(200, 400), (200, 200), (400, 200)}
    email = NEW if changed.status_code == 200 else account.email
    password = chosen if is_reset.status_code == 200 else PASSWORD
    wrong = PASSWORD if is_reset.status_code == 200 else chosen
    refused(await timed.people.begin(Account(email=email, password=wrong)), 401, "INVALID_EMAIL_OR_PASSWORD")
    accepted(await timed.people.begin(Account(email=email, password=password)))
    assert not await timed.people.is_alive(thief)
    again = {"token": reset, "newPassword": "yet another passphrase"}
    refused(await timed.api.post("/reset-password", again), 400, "INVALID_TOKEN")


async def test_two_changes_and_a_sign_in_at_once_leave_one_address(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    answers = await asyncio.gather(
        change(timed, session, NEW),
        timed.people.begin(account),
        change(timed, session, "another@example.com"),
        timed.people.begin(account),
    )
    for answer in answers:
        accepted(answer)
    rows = await sql(url_of(timed), "SELECT email FROM {}users WHERE id = $1", account.id)
    assert rows == [(account.email,)]
    waits = "SELECT count(*) FROM {}email_changes WHERE user_id = $1 AND replaced_at IS NULL AND confirmed_at IS NULL"
    assert await sql(url_of(timed), waits, account.id) == [(1,)]


# --- users without a password ----------------------------------------------------------------------------------------
async def passwordless(timed: Timed, how: str) -> tuple[Account, Session]:
    """Give somebody who signs in and has no password."""
    account, session = await timed.people.newcomer()
    put = "UPDATE {}users SET password_hash = NULL, made_by = $1 WHERE id = $2"
    await sql(url_of(timed), put, how, account.id)
    return account, session


@pytest.mark.parametrize("how", ["import", "administrator"])
@pytest.mark.parametrize(
    ("path", "body"),
    [("/delete-user", {}), ("/change-email", {"newEmail": NEW}), ("/two-factor/enable", {})],
)
async def test_user_without_a_password_or_factor_signs_in_again_or_sets_one(
    timed: Timed, how: str, path: str, body: dict[str, object]
) -> None:
    account, session = await passwordless(timed, how)
    timed.time.advance(minutes=11)
    refused(await timed.api.post(path, body, bearer=session.token), 403, "REAUTHENTICATION_REQUIRED")
    for wrong in (PASSWORD, "", " ", "x" * 128):
        answer = await timed.api.post(path, {**body, "password": wrong}, bearer=session.token)
        assert answer.status_code in (400, 403), wrong
    assert await timed.people.is_alive(session)
    accepted(await timed.api.post("/request-password-reset", {"email": account.email}))
    reset = await timed.mail.token(account.email, "password_reset")
    accepted(await timed.api.post("/reset-password", {"token": reset, "newPassword": PASSWORD}))
    fresh = await timed.people.sign_in(account)
    accepted(await timed.api.post(path, body, bearer=fresh.token))


async def test_user_without_a_password_proves_the_factor_alone(timed: Timed) -> None:
    account, session = await timed.people.enrolled()
    await sql(url_of(timed), "UPDATE {}users SET password_hash = NULL WHERE id = $1", account.id)
    timed.time.advance(minutes=11)
    refused(
        await timed.api.post("/change-email", {"newEmail": NEW}, bearer=session.token),
        403,
        "REAUTHENTICATION_REQUIRED",
    )
    wrong = {"newEmail": NEW, "code": account.has.wrong()}
    refused(await timed.api.post("/change-email", wrong, bearer=session.token), 401, "INVALID_CODE")
    right = {"newEmail": NEW, "code": account.has.code()}
    accepted(await timed.api.post("/change-email", right, bearer=session.token))
