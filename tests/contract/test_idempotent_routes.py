"""Every route that takes an Idempotency-Key acts once for two equal requests (contract part two, section 18)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from czo_auth.rest.app import BETTER_AUTH, NATIVE
from czo_auth.rest.routing import GuardedRoute
from tests.contract.acting import create_key, create_organization
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.database import sql
from tests.contract.deployments import Timed
from tests.contract.passkeys import begin_registration
from tests.contract.people import Session
from tests.contract.webhooks import NEW, administrator_of
from tests.support.authenticator import Authenticator

Prepared = tuple[Session, str, dict[str, Any]]
"""Who asks, where, and for what."""
Prepare = Callable[[Timed], Awaitable[Prepared]]


async def an_owner(timed: Timed) -> tuple[Session, str]:
    _, session = await timed.people.newcomer()
    return session, f"/organizations/{await create_organization(timed.api, session)}"


async def a_key(timed: Timed) -> Prepared:
    _, session = await timed.people.newcomer()
    return session, "/api-keys", {"name": "deploy"}


async def a_rotation(timed: Timed) -> Prepared:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    return session, f"/api-keys/{key['id']}/rotate", {"overlapSeconds": 60}


async def an_organization(timed: Timed) -> Prepared:
    _, session = await timed.people.newcomer()
    return session, "/organizations", {"name": "Twice Ltd"}


async def an_invitation(timed: Timed) -> Prepared:
    session, path = await an_owner(timed)
    return session, f"{path}/invitations", {"email": "bea@example.com", "role": "member"}


async def a_service_account(timed: Timed) -> Prepared:
    session, path = await an_owner(timed)
    return session, f"{path}/service-accounts", {"name": "deploy", "scopes": ["a:read"]}


async def a_service_accounts_key(timed: Timed) -> Prepared:
    session, path, body = await a_service_account(timed)
    made = accepted(await timed.api.post(path, body, bearer=session.token), 201)["serviceAccount"]
    return session, f"{path}/{made['id']}/api-keys", {"name": "ci", "scopes": ["a:read"]}


async def a_service_accounts_rotation(timed: Timed) -> Prepared:
    session, path, body = await a_service_accounts_key(timed)
    key = accepted(await timed.api.post(path, body, bearer=session.token), 201)["apiKey"]
    organization = path.partition("/service-accounts")[0]
    return session, f"{organization}/api-keys/{key['id']}/rotate", {"overlapSeconds": 60}


async def a_transfer(timed: Timed) -> Prepared:
    session, path, body = await a_service_account(timed)
    made = accepted(await timed.api.post(path, body, bearer=session.token), 201)["serviceAccount"]
    organization = path.partition("/service-accounts")[0]
    own = await create_key(
        timed.api, session, organizationId=organization.rpartition("/")[2], scopes=["a:read"]
    )
    return session, f"{organization}/api-keys/{own['id']}/transfer", {"serviceAccountId": made["id"]}


async def an_enrollment(timed: Timed) -> Prepared:
    account, session = await timed.people.newcomer()
    return session, "/two-factor/enable", {"password": account.password}


async def new_backup_codes(timed: Timed) -> Prepared:
    account, session = await timed.people.enrolled()
    timed.time.advance(seconds=31)
    body = {"password": account.password, "code": account.has.code()}
    return session, "/two-factor/generate-backup-codes", body


async def a_passkey(timed: Timed) -> Prepared:
    _, session = await timed.people.newcomer()
    options = await begin_registration(timed, session)
    response = Authenticator(timed.api.origin).create(options)
    body = {"response": response, "ceremony": options["ceremony"], "name": "phone"}
    return session, "/passkey/verify-registration", body


async def administrators_webhooks(timed: Timed) -> tuple[Session, str]:
    return await administrator_of(timed), "/admin/webhooks"


async def owners_webhooks(timed: Timed) -> tuple[Session, str]:
    session, path = await an_owner(timed)
    return session, f"{path}/webhooks"


def at(
    webhooks: Callable[[Timed], Awaitable[tuple[Session, str]]], what: str, body: dict[str, Any]
) -> Prepare:
    """Prepare an endpoint, and *what* is done with it."""

    async def prepare(timed: Timed) -> Prepared:
        session, base = await webhooks(timed)
        if not what:
            return session, base, body
        made = accepted(await timed.api.post(base, NEW, bearer=session.token), 201)["webhook"]
        return session, f"{base}/{made['id']}/{what}", body

    return prepare


SINCE = {"since": "2020-01-01T00:00:00.000Z"}
ORGANIZATION = "/organizations/{organization_id}"
ACTIONS: dict[str, Prepare] = {
    "/api-keys": a_key,
    "/api-keys/{key_id}/rotate": a_rotation,
    "/organizations": an_organization,
    f"{ORGANIZATION}/invitations": an_invitation,
    f"{ORGANIZATION}/service-accounts": a_service_account,
    f"{ORGANIZATION}/service-accounts/{{account_id}}/api-keys": a_service_accounts_key,
    f"{ORGANIZATION}/api-keys/{{key_id}}/rotate": a_service_accounts_rotation,
    f"{ORGANIZATION}/api-keys/{{key_id}}/transfer": a_transfer,
    "/two-factor/enable": an_enrollment,
    "/two-factor/generate-backup-codes": new_backup_codes,
    "/passkey/verify-registration": a_passkey,
    "/admin/webhooks": at(administrators_webhooks, "", NEW),
    "/admin/webhooks/{webhook_id}/secret": at(administrators_webhooks, "secret", {}),
    "/admin/webhooks/{webhook_id}/test": at(administrators_webhooks, "test", {}),
    "/admin/webhooks/{webhook_id}/replay": at(administrators_webhooks, "replay", SINCE),
    f"{ORGANIZATION}/webhooks": at(owners_webhooks, "", NEW),
    f"{ORGANIZATION}/webhooks/{{webhook_id}}/secret": at(owners_webhooks, "secret", {}),
    f"{ORGANIZATION}/webhooks/{{webhook_id}}/test": at(owners_webhooks, "test", {}),
    f"{ORGANIZATION}/webhooks/{{webhook_id}}/replay": at(owners_webhooks, "replay", SINCE),
}
"""What is done at each route, by its path; all are POST."""


def test_every_route_that_takes_the_header_is_tried() -> None:
    routes = [route for module in (*BETTER_AUTH, *NATIVE) for route in module.routes.router.routes]
    taking = [route for route in routes if isinstance(route, GuardedRoute) and route.spec.idempotent]
    assert {route.path for route in taking} == ACTIONS.keys()
    assert {method for route in taking for method in route.methods} == {"POST"}


@pytest.mark.parametrize("path", ACTIONS)
async def test_two_equal_requests_act_once(path: str, timed_sqlite: Timed) -> None:
    session, address, body = await ACTIONS[path](timed_sqlite)

    async def ask(body: dict[str, Any]) -> Answer:
        return await timed_sqlite.api.post(
            address, body, bearer=session.token, headers={"Idempotency-Key": "once"}
        )

    async def written() -> list[tuple[Any, ...]]:
        return await sql(
            timed_sqlite.auth.settings.storage_url,
            "SELECT (SELECT count(*) FROM {}audit), (SELECT count(*) FROM {}events)",
        )

    before = await written()
    first = await ask(body)
    assert first.status_code in (200, 201, 202), first.text
    after = await written()
    # To begin an enrollment changes nothing that counts yet, and is recorded nowhere.
    assert after != before or path == "/two-factor/enable"
    again = await ask(body)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert await written() == after
    refused(await ask({**body, "name": "another"}), 422, "IDEMPOTENCY_KEY_REUSED")


async def test_the_answer_about_an_organization_ends_with_the_organization(timed_sqlite: Timed) -> None:
    session, address, body = await an_organization(timed_sqlite)
    once = {"Idempotency-Key": "once"}
    made = accepted(await timed_sqlite.api.post(address, body, bearer=session.token, headers=once), 201)
    await timed_sqlite.api.delete(f"{address}/{made['organization']['id']}", bearer=session.token)
    again = await timed_sqlite.api.post(address, body, bearer=session.token, headers=once)
    assert again.status_code in (403, 404), again.text
