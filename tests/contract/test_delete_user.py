"""The end of an account: deletion by its user and by administrators, and what is left (contract-2 section 12)."""

from __future__ import annotations

import asyncio

import pytest

from czo_auth.core.flows.accounts.erasure import Erasure
from czo_auth.core.flows.administration.audit import ReadAuditLog
from czo_auth.core.transaction import Transaction
from tests.contract.acting import create_key, create_organization, is_accepted, join
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.database import everything
from tests.contract.deployments import Timed
from tests.contract.people import Account, Session

AGENT = "Mozilla/5.0 (person-of-interest; rv:1)"
ADDRESS = "203.0.113.77"


async def delete(here: Timed, session: Session, **body: object) -> Answer:
    return await here.api.post("/delete-user", body, bearer=session.token)


async def delete_as_admin(here: Timed, admin: Session, account: Account, **body: object) -> Answer:
    return await here.api.call(
        "DELETE", f"/admin/users/{account.id}", {"reason": "asked by letter", **body}, bearer=admin.token
    )


async def is_whole(here: Timed) -> bool:
    return (await ReadAuditLog(here.auth.services).verify_audit()).broken_at is None


async def test_everything_ends_at_once(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    other = await timed.people.sign_in(account)
    key = await create_key(timed.api, session)
    answer = await delete(timed, session)
    assert accepted(answer)["success"] is True
    for one in (session, other):
        assert not await timed.people.is_alive(one)
        refresh = await timed.api.post("/token/refresh", {"refreshToken": one.refresh_token})
        assert (refresh.status_code, refresh.json()["code"]) == (401, "INVALID_REFRESH_TOKEN")
    assert not await is_accepted(timed.api, key["key"])
    refused(await timed.people.begin(account), 401, "INVALID_EMAIL_OR_PASSWORD")
    again = {"email": account.email, "password": account.password, "name": "New"}
    accepted(await timed.api.post("/customer/sign-up", again), 201)
    events = await timed.auth.services.transactions.read(lambda tx: tx.outbox.events_after(0, limit=10_000))
    assert events[-2].type == "auth.user.deleted"
    assert events[-2].data == {"userId": account.id}


async def test_nothing_of_the_person_is_left(deploy: Deploy) -> None:
    """S43: every table and the outbox are searched for address, name, IP address and browser."""
    here = await deploy(trusted_proxies="127.0.0.1")
    headers = {"user-agent": AGENT, "x-forwarded-for": ADDRESS}
    email, name = "person.of.interest@example.com", "Theodora Unmistakable"
    body = {"email": email, "password": "correct horse battery staple", "name": name}
    user_id = accepted(await here.api.post("/customer/sign-up", body, headers=headers), 201)["user"]["id"]
    for password in ("wrong password", body["password"]):
        answer = await here.api.post(
            "/customer/sign-in/email", {"email": email, "password": password}, headers=headers
        )
    session = Session.of(answer)
    how = {"bearer": session.token, "headers": headers}
    accepted(await here.api.post("/api-keys", {"name": f"{name} laptop"}, **how), 201)
    accepted(await here.api.post("/organizations", {"name": f"{name} Ltd"}, **how), 201)
    accepted(await here.api.post("/change-email", {"newEmail": "theodora@example.net"}, **how))
    accepted(await here.api.post("/request-password-reset", {"email": email}, headers=headers))
    accepted(await here.api.post("/send-verification-email", {"email": email}, headers=headers))
    _, boss_session = await here.people.newcomer()
    organization = await create_organization(here.api, boss_session, "Friends")
    invited = {"email": email, "role": "member"}
    accepted(
        await here.api.post(f"/organizations/{organization}/invitations", invited, bearer=boss_session.token),
        201,
    )
    kept = await everything(here.auth.settings.storage_url)
    for trace in (email, name, ADDRESS, AGENT, "theodora@example.net"):
        assert trace in kept
    accepted(await here.api.post("/delete-user", {}, **how))
    kept = await everything(here.auth.settings.storage_url)
    for trace in (email, name, ADDRESS, AGENT, "theodora@example.net", "theodora"):
        assert trace not in kept, trace
    assert user_id in kept, "audit records keep the id"
    assert await is_whole(here)


async def test_address_of_the_administrator_who_acted_stays(deploy: Deploy) -> None:
    here = await deploy(trusted_proxies="127.0.0.1")
    account, session = await here.people.newcomer()
    admin = await here.people.sign_in(here.ada, "admin")
    headers = {"x-forwarded-for": "198.51.100.9"}
    path = f"/admin/users/{account.id}/actor-types"
    accepted(await here.api.post(path, {"add": ["merchant"]}, bearer=admin.token, headers=headers))
    accepted(await delete(here, session))
    records = await here.auth.services.transactions.read(lambda tx: tx.audit_log.audit_after(0, limit=10_000))
    of_person = [record for record in records if record.audit_event.user_id == account.id]
    assert {record.context.ip for record in of_person} == {None, "198.51.100.9"}
    assert await is_whole(here)


async def test_recent_proof_is_needed(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    timed.time.advance(minutes=11)
    refused(await delete(timed, session), 403, "REAUTHENTICATION_REQUIRED")
    refused(await delete(timed, session, password="not the password"), 400, "INVALID_PASSWORD")
    assert await timed.people.is_alive(session)
    accepted(await delete(timed, session, password=account.password, token="ignored", callbackURL="/bye"))


async def test_last_owner_is_notified_which_organizations_keep_them(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    mate, mate_session = await timed.people.newcomer()
    mine = await create_organization(timed.api, session, "Mine alone")
    shared = await create_organization(timed.api, session, "Shared")
    await join(timed.api, session, shared, (mate, mate_session))
    refusal = refused(await delete(timed, session), 409, "LAST_OWNER")
    assert refusal["details"] == [{"loc": ["organizations", shared], "msg": "Shared"}]
    assert await timed.people.is_alive(session)
    path = f"/organizations/{shared}/members/{mate.id}"
    accepted(await timed.api.call("PATCH", path, {"role": "owner"}, bearer=session.token))
    accepted(await delete(timed, session))
    listed = accepted(await timed.api.get("/organizations", bearer=mate_session.token))["organizations"]
    assert [one["id"] for one in listed] == [shared]
    admin = await timed.people.sign_in(timed.ada, "admin")
    found_ones = accepted(await timed.api.get("/admin/organizations", bearer=admin.token))["organizations"]
    assert mine not in [one["id"] for one in found_ones]


async def test_administrator_deletes_with_a_reason_and_the_person_is_mailed(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    admin = await timed.people.sign_in(timed.ada, "admin")
    bare = await timed.api.call("DELETE", f"/admin/users/{account.id}", {}, bearer=admin.token)
    refused(bare, 400, "VALIDATION_ERROR")
    answer = await delete_as_admin(timed, admin, account)
    assert answer.status_code == 204
    assert not await timed.people.is_alive(session)
    await timed.mail.token(account.email, "account_deleted")
    refused(await delete_as_admin(timed, admin, account), 404, "NOT_FOUND")
    record = accepted(
        await timed.api.get(f"/admin/audit?userId={account.id}&action=auth.user.deleted", bearer=admin.token)
    )["audit"][0]
    assert (record["details"], record["actorUserId"]) == ({"reason": "asked by letter"}, timed.ada.id)


async def test_deletion_by_an_administrator_needs_recent_proof(timed: Timed) -> None:
    account, _ = await timed.people.newcomer()
    admin = await timed.people.sign_in(timed.ada, "admin")
    timed.time.advance(minutes=11)
    refused(await delete_as_admin(timed, admin, account), 403, "REAUTHENTICATION_REQUIRED")
    proof = {"password": timed.ada.password, "code": timed.ada.has.code()}
    assert (await delete_as_admin(timed, admin, account, **proof)).status_code == 204


async def test_last_administrator_stays_regardless_of_who_asks(timed: Timed) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    refused(await delete(timed, admin), 409, "LAST_ADMINISTRATOR")
    refused(await delete_as_admin(timed, admin, timed.ada), 409, "LAST_ADMINISTRATOR")
    ban = await timed.api.post(f"/admin/users/{timed.ada.id}/ban", {"reason": "x"}, bearer=admin.token)
    refused(ban, 409, "LAST_ADMINISTRATOR")
    path = f"/admin/users/{timed.ada.id}/actor-types"
    refused(await timed.api.post(path, {"remove": ["admin"]}, bearer=admin.token), 409, "LAST_ADMINISTRATOR")
    assert await timed.people.is_alive(admin)
    second, _ = await timed.people.newcomer()
    accepted(
        await timed.api.post(f"/admin/users/{second.id}/actor-types", {"add": ["admin"]}, bearer=admin.token)
    )
    accepted(await timed.api.post(path, {"remove": ["admin"]}, bearer=admin.token))


@pytest.mark.parametrize("how", ["delete", "ban", "demote"])
async def test_of_two_administrators_who_remove_each_other_one_stays(timed: Timed, how: str) -> None:
    other, restricted = await timed.admin()
    other_session = await timed.people.enroll(other, restricted)
    mine = await timed.people.sign_in(timed.ada, "admin")

    async def remove(by: Session, account: Account) -> Answer:
        if how == "delete":
            return await delete_as_admin(timed, by, account)
        path, body = ("ban", {"reason": "x"}) if how == "ban" else ("actor-types", {"remove": ["admin"]})
        return await timed.api.post(f"/admin/users/{account.id}/{path}", body, bearer=by.token)

    answers = await asyncio.gather(
        *(remove(mine, other) for _ in range(3)), *(remove(other_session, timed.ada) for _ in range(3))
    )
    assert any(answer.status_code in (200, 204) for answer in answers)

    def left(tx: Transaction) -> int:
        return tx.users.count_administrators(["admin"], but="")

    assert await timed.auth.services.transactions.read(left) == 1


async def test_deletion_during_requests_and_refreshes_leaves_nothing(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    others = [await timed.people.sign_in(account) for _ in range(3)]

    async def busy(one: Session) -> None:
        for _ in range(3):
            await timed.api.post("/token/refresh", {"refreshToken": one.refresh_token})
            await timed.api.post("/api-keys", {"name": "late"}, bearer=one.token)
            await timed.people.begin(account)

    await asyncio.gather(*(busy(one) for one in others), delete(timed, session))
    kept = await everything(timed.auth.settings.storage_url)
    assert account.email not in kept
    assert '"late"' not in kept
    assert await is_whole(timed)
    assert not any([await timed.people.is_alive(one) for one in others])


async def test_erasure_that_was_interrupted_is_finished_by_housekeeping(
    timed: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, session = await timed.people.newcomer()
    await create_key(timed.api, session, name="unmistakable name")

    async def nothing(*_: object, **__: object) -> None:
        """Be killed between the deletion and what follows it."""

    with monkeypatch.context() as killed:
        killed.setattr(Erasure, "erase", nothing)
        accepted(await delete(timed, session))
    assert "unmistakable name" in await everything(timed.auth.settings.storage_url)
    await timed.auth.audit_retention.apply(now=timed.clock())
    assert "unmistakable name" not in await everything(timed.auth.settings.storage_url)
    assert await is_whole(timed)
