"""
Keys that outlive people: to get more than was given, two of what there may be one, or more than there may be (S38).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence

import pytest

from czo_auth.core.limits import (
    MAX_SERVICE_ACCOUNT_KEYS,
    MAX_SERVICE_ACCOUNT_KEYS_A_DAY,
    MAX_SERVICE_ACCOUNTS,
    MAX_SERVICE_ACCOUNTS_A_DAY,
)
from czo_auth.core.organizations.organization import Organization
from tests.contract.acting import create_key, is_accepted, principal_of
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.database import sql
from tests.contract.deployments import Timed
from tests.contract.organizations import Acme, acme_of
from tests.support.records import a_service_account, an_account_key
from tests.support.rows import Rows

AT_ONCE = 8


async def codes_of(answers: Sequence[Awaitable[Answer]]) -> Counter[int]:
    return Counter(answer.status_code for answer in await asyncio.gather(*answers))


async def organization_of(acme: Acme) -> Organization:
    read = acme.timed.auth.services.transactions.read
    found = await read(lambda tx: tx.organizations.find(acme.id))
    assert found is not None
    return found


async def spend(acme: Acme, name: str, used: int) -> None:
    """Spend a day's budget past the product, as a loop of requests would."""
    url = acme.timed.runtime.settings.storage_url
    await sql(url, "UPDATE {}budgets SET used = $1 WHERE name = $2", used, f"{name}/{acme.id}")


# --- how many there may be -------------------------------------------------------------------------------------------
@pytest.mark.each_database
async def test_the_last_account_of_an_organization_is_one_for_requests_at_once(timed: Timed) -> None:
    acme = await acme_of(timed)
    organization, rows = await organization_of(acme), Rows(timed.auth.storage)
    accounts = [a_service_account(organization) for _ in range(MAX_SERVICE_ACCOUNTS - 1)]
    await rows.run(lambda tx: [tx.service_accounts.add(account) for account in accounts])
    assert await codes_of([acme.ask() for _ in range(AT_ONCE)]) == {201: 1, 409: AT_ONCE - 1}
    refused(await acme.ask(), 409, "SERVICE_ACCOUNT_LIMIT_REACHED")


@pytest.mark.each_database
async def test_the_last_key_of_an_account_is_one_for_requests_at_once(timed: Timed) -> None:
    acme = await acme_of(timed)
    rows = Rows(timed.auth.storage)
    account = await rows.service_account(await organization_of(acme), scopes=("a:read",))
    for _ in range(MAX_SERVICE_ACCOUNT_KEYS - 1):
        await rows.account_key(account)
    asked = [acme.ask_key(account.id) for _ in range(AT_ONCE)]
    assert await codes_of(asked) == {201: 1, 409: AT_ONCE - 1}
    assert accepted(await acme.api.get("/api-keys", bearer=acme.owner.token))["total"] == 0
    await create_key(acme.api, acme.owner, organizationId=acme.id)


async def test_accounts_and_keys_of_a_day_are_bounded_whatever_became_of_them(timed_sqlite: Timed) -> None:
    acme = await acme_of(timed_sqlite)
    made = await acme.create()
    key = await acme.key(made["id"])
    await spend(acme, "service_accounts", MAX_SERVICE_ACCOUNTS_A_DAY)
    await spend(acme, "service_account_keys", MAX_SERVICE_ACCOUNT_KEYS_A_DAY)
    refused(await acme.ask(), 429, "TOO_MANY_REQUESTS")
    refused(await acme.ask_key(made["id"]), 429, "TOO_MANY_REQUESTS")
    rotate = f"{acme.path}/api-keys/{key['id']}/rotate"
    refused(await acme.api.post(rotate, {}, bearer=acme.owner.token), 429, "TOO_MANY_REQUESTS")
    assert await is_accepted(acme.api, key["key"])
    timed_sqlite.time.advance(days=1, seconds=1)
    acme.owner = await timed_sqlite.people.sign_in(acme.boss)
    await acme.create()


# --- one successor ---------------------------------------------------------------------------------------------------
@pytest.mark.each_database
async def test_of_many_transfers_and_rotations_at_once_one_makes_a_successor(timed: Timed) -> None:
    acme = await acme_of(timed)
    made = await acme.create()
    own = await create_key(acme.api, acme.admin, organizationId=acme.id, scopes=["a:read"])
    body, keys = {"serviceAccountId": made["id"]}, f"{acme.path}/api-keys"
    transfers = [
        acme.api.post(f"{keys}/{own['id']}/transfer", body, bearer=acme.owner.token) for _ in range(AT_ONCE)
    ]
    rotation = acme.api.post(f"/api-keys/{own['id']}/rotate", {}, bearer=acme.admin.token)
    answers = await codes_of([*transfers, rotation])
    assert answers == {201: 1, 409: AT_ONCE} or answers == {201: 1, 404: answers[404], 409: answers[409]}
    assert not await is_accepted(acme.api, own["key"])
    assert len(await acme.keys()) == 1


# --- rights ----------------------------------------------------------------------------------------------------------
async def test_maker_who_was_demoted_gets_no_kept_answer_and_makes_no_more(timed_sqlite: Timed) -> None:
    acme = await acme_of(timed_sqlite)
    made = await acme.create()
    path = f"{acme.accounts}/{made['id']}/api-keys"
    body, once = {"name": "ci", "scopes": ["a:read"]}, {"idempotency-key": "once"}

    async def make() -> Answer:
        return await acme.api.post(path, body, bearer=acme.admin.token, headers=once)

    first = accepted(await make(), 201)["apiKey"]
    assert accepted(await make(), 201)["apiKey"] == first
    accepted(await acme.api.patch(acme.member, {"role": "member"}, bearer=acme.owner.token))
    refused(await make(), 403, "FORBIDDEN")
    assert await is_accepted(acme.api, first["key"])


async def test_scopes_that_only_administrators_give_are_given_by_nobody_else(timed_sqlite: Timed) -> None:
    acme = await acme_of(timed_sqlite)
    made = await acme.create()
    path = f"{acme.accounts}/{made['id']}"
    for scope in ("api-keys:verify", "admin:all"):
        refused(await acme.ask(scopes=[scope]), 403, "INSUFFICIENT_SCOPE")
        wider = await acme.api.patch(path, {"scopes": ["a:read", scope]}, bearer=acme.owner.token)
        refused(wider, 403, "INSUFFICIENT_SCOPE")
        refused(await acme.ask_key(made["id"], scopes=[scope]), 403, "INSUFFICIENT_SCOPE")


async def test_row_with_scopes_that_nobody_could_give_counts_for_nothing(timed_sqlite: Timed) -> None:
    """What was written past the product, or given under another rule, is bounded by the rule of now."""
    acme = await acme_of(timed_sqlite)
    rows = Rows(timed_sqlite.auth.storage)
    account = await rows.service_account(await organization_of(acme), scopes=("a:read", "admin:all"))
    made = await acme.key(account.id)
    key = an_account_key(account, id=made["id"], scopes=("a:read", "admin:all", "b:read"))
    url = timed_sqlite.runtime.settings.storage_url
    await sql(url, "UPDATE {}api_keys SET scopes = $1 WHERE id = $2", " ".join(key.scopes), key.id)
    assert (await principal_of(acme.api, made["key"]))["scopes"] == ["a:read"]


async def test_account_of_one_organization_is_unknown_to_another(timed_sqlite: Timed) -> None:
    acme, other = await acme_of(timed_sqlite), await acme_of(timed_sqlite)
    made = await acme.create()
    key = await acme.key(made["id"])
    own = await create_key(acme.api, other.owner, organizationId=other.id, scopes=["a:read"])
    bearer = other.owner.token
    for answer in (
        await acme.api.get(f"{other.accounts}/{made['id']}", bearer=bearer),
        await acme.api.patch(f"{other.accounts}/{made['id']}", {"enabled": False}, bearer=bearer),
        await acme.api.delete(f"{other.accounts}/{made['id']}", bearer=bearer),
        await other.ask_key(made["id"]),
        await acme.api.delete(f"{other.path}/api-keys/{key['id']}", bearer=bearer),
        await acme.api.post(f"{other.path}/api-keys/{key['id']}/rotate", {}, bearer=bearer),
        await acme.api.post(
            f"{other.path}/api-keys/{own['id']}/transfer", {"serviceAccountId": made["id"]}, bearer=bearer
        ),
    ):
        refused(answer, 404, "NOT_FOUND")
    assert await is_accepted(acme.api, key["key"])


async def test_verifying_service_account_learns_only_of_its_organization(timed_sqlite: Timed) -> None:
    acme = await acme_of(timed_sqlite)
    auth = timed_sqlite.auth
    account = await auth.service_accounts.create(acme.id, name="gateway", scopes=["api-keys:verify"])
    asking = await auth.service_accounts.create_api_key(
        acme.id, account.id, name="gateway", scopes=["api-keys:verify"]
    )
    inside = await create_key(acme.api, acme.owner, organizationId=acme.id)
    outside = await create_key(acme.api, acme.owner)
    for key, is_valid in ((inside, True), (outside, False)):
        body = {"key": key["key"]}
        verdict = accepted(await acme.api.post("/api-keys/verify", body, bearer=asking.key))
        assert verdict["valid"] is is_valid
        reported = await acme.api.post("/introspect", {"token": key["key"]}, bearer=asking.key)
        assert reported.json()["active"] is is_valid


# --- the end of things -----------------------------------------------------------------------------------------------
async def test_exchanged_token_of_a_service_account_names_it_and_ends_with_the_account(
    timed_sqlite: Timed,
) -> None:
    acme = await acme_of(timed_sqlite)
    made = await acme.create()
    key = await acme.key(made["id"])
    body = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": key["key"],
        "subject_token_type": "urn:czo-auth:token-type:api-key",
    }
    token = (await acme.api.post("/token/exchange", body)).json()["access_token"]
    principal = await principal_of(acme.api, token)
    assert (principal["userId"], principal["serviceAccountId"]) == (None, made["id"])
    path = f"{acme.accounts}/{made['id']}"
    accepted(await acme.api.patch(path, {"enabled": False}, bearer=acme.owner.token))
    refused(await acme.api.get("/whoami", bearer=token), 401, "INVALID_TOKEN")


async def test_owners_are_warned_before_a_service_accounts_key_ends(timed_sqlite: Timed) -> None:
    acme = await acme_of(timed_sqlite)
    made = await acme.create()
    await acme.key(made["id"], expiresIn=40 * 86400)
    timed_sqlite.time.advance(days=34)
    await timed_sqlite.auth.key_expiry.remind(now=timed_sqlite.clock())
    await asyncio.sleep(0.05)
    warned = [each for each in timed_sqlite.mail.messages if each.kind == "api_key_expiring"]
    assert [message.to for message in warned] == [acme.boss.email]
