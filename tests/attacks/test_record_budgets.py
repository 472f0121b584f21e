"""
Audit records that somebody can cause in a day: the bound is in the database, and nothing of the owner's defense waits
for the next one (S44).
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from czo_auth import Auth
from czo_auth.core.budgets import Budget, network_budget
from czo_auth.core.context import Context, system_context
from czo_auth.core.errors import RateLimited
from czo_auth.core.events.types import USER_UPDATED, AuditEvent
from czo_auth.core.limits import (
    MAX_ADMINISTRATOR_RECORDS_A_DAY,
    MAX_FORGOTTEN_PROOFS_A_DAY,
    MAX_PROOF_RECORDS_A_DAY,
    MAX_RECORDS_A_DAY,
    MAX_SIGN_UPS_A_DAY,
    MAX_STRANGER_RECORDS_A_DAY,
)
from czo_auth.core.transaction import Transaction
from tests.contract.acting import create_key
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.database import sql
from tests.contract.deployments import Timed
from tests.contract.people import Session

pytestmark = pytest.mark.each_database

AT_ONCE = 1000
HOME = "192.0.2.7"
ELSEWHERE = "198.51.100.7"


async def context_of(here: Timed, credential: str) -> Context:
    """Return the context of a request with a session token or an API key."""
    principal = await here.auth.authenticate_token(credential)
    assert principal is not None
    return Context(now=here.clock()).of(principal)


async def cause(auth: Auth, context: Context, count: int) -> None:
    """Record *count* changes that the caller of *context* makes, in one transaction."""
    event = AuditEvent(action=USER_UPDATED, user_id=context.user_id, details={"changed": ["name"]})

    def record(tx: Transaction) -> None:
        for _ in range(count):
            tx.record(event)

    await auth.services.transactions.run(record, context)


def of_network(name: str) -> str:
    """Give the name of the budget of HOME."""
    return network_budget(name, 1, Context(now=datetime.now(UTC), ip=HOME)).name


async def fill(here: Timed, name: str, uses: int) -> None:
    """Count *uses* of a budget, as a day of requests would."""
    budget = Budget(name=name, limit=10 * uses)
    assert await here.auth.services.transactions.run(
        lambda tx: tx.budgets.spend(budget, now=here.clock(), uses=uses) is None
    )


async def rename(here: Timed, session: Session, name: str = "Mallory") -> Answer:
    return await here.api.post("/update-user", {"name": name}, bearer=session.token)


async def count_records(here: Timed, where: str, *values: object) -> int:
    statement = f"SELECT count(*) FROM {{}}audit WHERE {where}"
    ((found,),) = await sql(here.auth.settings.storage_url, statement, *values)
    return int(found)


# --- users -----------------------------------------------------------------------------------------------------------
async def test_user_causes_ten_thousand_records_in_a_day_and_no_more(deploy: Deploy) -> None:
    here = await deploy(rate_limit_enabled=False)
    account, session = await here.people.newcomer()
    other_account, other = await here.people.newcomer()
    key = (await create_key(here.api, session))["key"]
    own = "actor_user_id = $1 AND method IN ('session', 'apikey')"
    made = await count_records(here, own, account.id)
    await cause(here.auth, await context_of(here, session.token), AT_ONCE)
    await fill(here, f"records/user/{account.id}", MAX_RECORDS_A_DAY - made - AT_ONCE - 1)
    accepted(await rename(here, session, "Eve"))
    assert await count_records(here, own, account.id) == made + AT_ONCE + 1

    last = await rename(here, session)
    refused(last, 429, "TOO_MANY_REQUESTS")
    assert 0 < int(last.headers["retry-after"]) <= 86_400
    assert accepted(await here.api.get("/session", bearer=session.token))["user"]["name"] == "Eve"
    # Neither a new sign-in, nor another kind of credential, nor another process begins a new count.
    fresh = await here.people.sign_in(account)
    refused(await rename(here, fresh), 429, "TOO_MANY_REQUESTS")
    with pytest.raises(RateLimited):
        await cause(here.auth, await context_of(here, key), 1)
    beside = await deploy(here.auth.settings.database_url, rate_limit_enabled=False)
    refused(await rename(beside, fresh), 429, "TOO_MANY_REQUESTS")
    # Nobody else is refused.
    accepted(await rename(here, other, "Bob"))
    assert await count_records(here, own, account.id) == made + AT_ONCE + 1
    assert await count_records(here, own, other_account.id) == 1

    for each in (here, beside):
        each.time.advance(days=1)
    accepted(await rename(beside, fresh, "Eve again"))


async def test_bound_outlives_the_process(deploy: Deploy) -> None:
    here = await deploy()
    account, session = await here.people.newcomer()
    await fill(here, f"records/user/{account.id}", MAX_RECORDS_A_DAY - 1)
    await cause(here.auth, await context_of(here, session.token), 1)
    await here.auth.stop()
    later = await deploy(here.auth.settings.database_url)
    refused(await rename(later, await later.people.sign_in(account)), 429, "TOO_MANY_REQUESTS")


async def test_last_record_of_a_day_is_one_for_requests_at_once(deploy: Deploy) -> None:
    here = await deploy()
    beside = await deploy(here.auth.settings.database_url)
    account, session = await here.people.newcomer()
    await fill(here, f"records/user/{account.id}", MAX_RECORDS_A_DAY - 1)
    answers = await asyncio.gather(*(rename(each, session) for each in [here, beside] * 6))
    assert sorted(answer.status_code for answer in answers) == [200] + [429] * 11


async def test_transaction_that_goes_beyond_the_bound_leaves_nothing(deploy: Deploy) -> None:
    here = await deploy()
    account, session = await here.people.newcomer()
    context = await context_of(here, session.token)
    await fill(here, f"records/user/{account.id}", MAX_RECORDS_A_DAY - 2)
    before = await count_records(here, "true")
    with pytest.raises(RateLimited):
        await cause(here.auth, context, 3)
    assert await count_records(here, "true") == before
    await cause(here.auth, context, 2)


async def test_owner_defends_the_account_when_the_bound_is_reached(timed: Timed) -> None:
    """A thief of the session caused all records of the day: what ends the theft is not refused."""
    here, account = timed, timed.carol
    stolen = await here.people.sign_in(account)
    key = await create_key(here.api, stolen)
    await fill(here, f"records/user/{account.id}", MAX_RECORDS_A_DAY - 1)
    refused(await rename(here, stolen), 429, "TOO_MANY_REQUESTS")

    async def succeeds(method: str, path: str, body: Any = None, status: int = 200) -> Any:
        given = {} if body is None else {"body": body}
        return accepted(await here.api.call(method, path, bearer=session.token, **given), status)

    session = await here.people.sign_in(account)
    await succeeds("DELETE", f"/api-keys/{key['id']}", status=204)
    here.time.advance(minutes=1)
    proof = {"password": account.password, "code": account.has.code()}
    await succeeds("POST", "/reauthenticate", proof)
    await succeeds("DELETE", f"/sessions/{stolen.id}", status=204)
    assert not await here.people.is_alive(stolen)
    body = {"currentPassword": account.password, "newPassword": "another passphrase"}
    here.time.advance(minutes=1)
    session = Session.of(await here.api.post("/change-password", body, bearer=session.token))
    account.password = "another passphrase"
    await succeeds("POST", "/two-factor/generate-backup-codes", {"password": account.password})
    await succeeds("DELETE", "/two-factor/trusted-devices", status=204)
    await succeeds("POST", "/two-factor/disable", {"password": account.password})
    here.time.advance(minutes=1)
    enrolled = await here.people.enroll(account, session)
    here.time.advance(minutes=1)
    session = await here.people.sign_in(account)
    await succeeds("DELETE", "/sessions", status=204)
    assert not await here.people.is_alive(enrolled)
    refused(await rename(here, session), 429, "TOO_MANY_REQUESTS")
    await succeeds("POST", "/sign-out")


async def test_devices_are_forgotten_on_record_only_where_there_are_any(timed: Timed) -> None:
    """The record is not charged, so it must need a device."""
    account, session = await timed.people.newcomer()
    for _ in range(3):
        accepted(await timed.api.delete("/two-factor/trusted-devices", bearer=session.token), 204)
    assert await count_records(timed, "action = 'auth.2fa.device_revoked' AND user_id = $1", account.id) == 0


# --- proofs ----------------------------------------------------------------------------------------------------------
async def test_sign_ins_of_a_day_are_bounded_until_the_password_is_reset_by_mail(timed: Timed) -> None:
    here = timed
    account = await here.people.sign_up()
    name = f"records/proved/{account.id}"

    async def reset(password: str) -> None:
        seen = len(here.mail.tokens(account.email, "password_reset"))
        accepted(await here.api.post("/request-password-reset", {"email": account.email}))
        token = await here.mail.token(account.email, "password_reset", after=seen)
        accepted(await here.api.post("/reset-password", {"token": token, "newPassword": password}))
        account.password = password

    await fill(here, name, MAX_PROOF_RECORDS_A_DAY - 1)
    await here.people.sign_in(account)
    refused(await here.people.begin(account), 429, "TOO_MANY_REQUESTS")
    for number in range(MAX_FORGOTTEN_PROOFS_A_DAY):
        await reset(f"passphrase number {number}")
        await fill(here, name, MAX_PROOF_RECORDS_A_DAY - 1)
        await here.people.sign_in(account)
    refused(await here.people.begin(account), 429, "TOO_MANY_REQUESTS")
    await reset("one passphrase more")
    refused(await here.people.begin(account), 429, "TOO_MANY_REQUESTS")
    here.time.advance(days=1)
    await here.people.sign_in(account)


# --- administrators, service accounts, hosts -------------------------------------------------------------------------
async def test_administrators_have_a_bound_for_bulk_work_and_ban_beyond_it(timed: Timed) -> None:
    here = timed
    admin = await here.people.sign_in(here.ada, "admin")
    context = await context_of(here, admin.token)
    banned, spared = await here.people.sign_up(), await here.people.sign_up()
    name = f"records/administrator/{here.ada.id}"
    await fill(here, name, MAX_RECORDS_A_DAY)
    await cause(here.auth, context, 1)
    uses = MAX_ADMINISTRATOR_RECORDS_A_DAY - MAX_RECORDS_A_DAY - 2
    count = Budget(name=name, limit=MAX_ADMINISTRATOR_RECORDS_A_DAY)
    await here.auth.services.transactions.run(lambda tx: tx.budgets.spend(count, now=here.clock(), uses=uses))
    path = f"/admin/users/{banned.id}"
    accepted(await here.api.post(f"{path}/ban", {"reason": "fraud"}, bearer=admin.token))
    accepted(await here.api.post(f"{path}/unban", bearer=admin.token))
    accepted(await here.api.post(f"{path}/ban", {"reason": "fraud"}, bearer=admin.token))
    refused(await here.api.post(f"{path}/unban", bearer=admin.token), 429, "TOO_MANY_REQUESTS")
    accepted(await here.people.begin(spared))


async def test_service_accounts_of_an_organization_are_charged_together(timed: Timed) -> None:
    organization = "019c5655-0000-7000-8000-00000000000a"
    both = [
        Context(now=timed.clock(), actor_kind="api_key", organization_id=organization, method="apikey")
        for _ in range(2)
    ]
    await fill(timed, f"records/organization/{organization}", MAX_RECORDS_A_DAY - 1)
    await cause(timed.auth, both[0], 1)
    with pytest.raises(RateLimited):
        await cause(timed.auth, both[1], 1)


async def test_the_host_and_operators_are_not_charged(timed: Timed) -> None:
    now = timed.clock()
    budgets = "SELECT name, used FROM {}budgets ORDER BY name"
    before = await sql(timed.auth.settings.storage_url, budgets)
    for context in (system_context(now), Context(now=now, actor_kind="operator", method="cli")):
        await cause(timed.auth, context, 2)
    assert await sql(timed.auth.settings.storage_url, budgets) == before


# --- strangers -------------------------------------------------------------------------------------------------------
async def from_network(here: Timed, ip: str, path: str, body: object) -> Answer:
    headers = {"x-forwarded-for": ip}
    return await here.api.http.post(f"/api/auth{path}", json=body, headers=headers)


async def test_failed_sign_ins_of_a_network_are_bounded_and_right_passwords_are_not(deploy: Deploy) -> None:
    here = await deploy(trusted_proxies="127.0.0.1", rate_limit_enabled=False)
    account = await here.people.sign_up()

    async def sign_in(ip: str, email: str, password: str = "wrong password") -> Answer:
        return await from_network(here, ip, "/customer/sign-in/email", {"email": email, "password": password})

    await fill(here, of_network("records/network"), MAX_STRANGER_RECORDS_A_DAY - 1)
    refused(await sign_in(HOME, "made-up@example.com"), 401, "INVALID_EMAIL_OR_PASSWORD")
    for email in ("made-up@example.com", account.email):
        refused(await sign_in(HOME, email), 429, "TOO_MANY_REQUESTS")
    for path in ("/request-password-reset", "/send-verification-email"):
        refused(await from_network(here, HOME, path, {"email": account.email}), 429, "TOO_MANY_REQUESTS")
    refused(await sign_in(ELSEWHERE, account.email), 401, "INVALID_EMAIL_OR_PASSWORD")
    accepted(await sign_in(HOME, account.email, account.password))


async def test_accounts_from_one_network_are_bounded_in_a_day(deploy: Deploy) -> None:
    here = await deploy(trusted_proxies="127.0.0.1", rate_limit_enabled=False)
    beside = await deploy(
        here.auth.settings.database_url, trusted_proxies="127.0.0.1", rate_limit_enabled=False
    )

    async def sign_up(at: Timed, ip: str, number: int) -> Answer:
        body = {"email": f"new-{number}@example.com", "password": "a long passphrase", "name": "New"}
        return await from_network(at, ip, "/customer/sign-up", body)

    await fill(here, of_network("sign_ups"), MAX_SIGN_UPS_A_DAY - 1)
    answers = await asyncio.gather(
        *(sign_up(at, HOME, number) for number, at in enumerate([here, beside] * 3))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [429] * 5
    assert await sql(
        here.auth.settings.storage_url, "SELECT count(*) FROM {}users WHERE email LIKE 'new-%'"
    ) == [(1,)]
    accepted(await sign_up(here, ELSEWHERE, 7), 201)
    for each in (here, beside):
        each.time.advance(hours=24)
    accepted(await sign_up(beside, HOME, 8), 201)


async def test_address_that_a_key_refuses_is_recorded_once_by_all_processes(deploy: Deploy) -> None:
    first = await deploy()
    second = await deploy(first.auth.settings.database_url)
    _, session = await first.people.newcomer()
    key = await create_key(first.api, session, allowedIps=["203.0.113.0/24"])
    for each in (first, second):
        refused(await each.api.get("/whoami", bearer=key["key"]), 403, "IP_ADDRESS_NOT_ALLOWED")
        await each.runtime._background.finish()
    assert await count_records(first, "action = 'auth.apikey.address_refused'") == 1


async def test_sign_up_is_not_refused_for_the_mail_that_follows_it(deploy: Deploy) -> None:
    """The account exists by then: a refusal would say that it does not, and the next try that the address is taken."""
    here = await deploy(trusted_proxies="127.0.0.1", require_email_verification=True)
    await fill(here, of_network("records/network"), MAX_STRANGER_RECORDS_A_DAY)
    body = {"email": "late@example.com", "password": "a long passphrase", "name": "Late"}
    accepted(await from_network(here, HOME, "/customer/sign-up", body), 201)
    again = {"email": "late@example.com"}
    refused(await from_network(here, HOME, "/send-verification-email", again), 429, "TOO_MANY_REQUESTS")
    accepted(await from_network(here, ELSEWHERE, "/send-verification-email", again))
    await here.mail.token("late@example.com", "verification")
