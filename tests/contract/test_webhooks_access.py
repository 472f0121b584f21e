"""Webhooks over REST: who may call what (docs/reference/events.md)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.acting import create_key, create_organization, join
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.webhooks import (
    NEW,
    administrator_of,
    deployment_of,
    make,
    owner_of,
)


@pytest.fixture
async def here(deploy: Deploy) -> Timed:
    return await deployment_of(deploy)


CALLS = [
    ("POST", "", NEW),
    ("GET", "", None),
    ("GET", "/{id}", None),
    ("PATCH", "/{id}", {"enabled": False}),
    ("DELETE", "/{id}", None),
    ("POST", "/{id}/secret", None),
    ("POST", "/{id}/test", None),
    ("GET", "/{id}/deliveries", None),
    ("POST", "/{id}/replay", {"since": "2025-01-01T00:00:00Z"}),
]


async def call(here: Timed, number: int, base: str, webhook_id: str, bearer: str | None) -> Any:
    method, path, body = CALLS[number]
    sent = [] if body is None else [body]
    return await here.api.call(method, base + path.format(id=webhook_id), *sent, bearer=bearer)


async def test_nobody_else_reaches_the_endpoints(here: Timed) -> None:
    ada = await administrator_of(here)
    owner, organization = await owner_of(here)
    owners = f"/organizations/{organization}/webhooks"
    theirs = (await make(here.api, owner, owners))["webhook"]["id"]
    ours = (await make(here.api, ada, "/admin/webhooks"))["webhook"]["id"]
    stranger = await here.people.newcomer()
    admin = await here.people.newcomer()
    await join(here.api, owner, organization, admin, "admin")
    key = await create_key(here.api, owner, organizationId=organization)
    for number, (_, path, _) in enumerate(CALLS):
        refused(await call(here, number, owners, theirs, None), 401, "UNAUTHORIZED")
        refused(await call(here, number, owners, theirs, stranger[1].token), 404, "NOT_FOUND")
        refused(await call(here, number, "/admin/webhooks", ours, owner.token), 403, "FORBIDDEN")
        # Administrators have no business in organizations.
        refused(await call(here, number, owners, theirs, ada.token), 404, "NOT_FOUND")
        refused(await call(here, number, owners, theirs, admin[1].token), 403, "FORBIDDEN")
        refused(await call(here, number, owners, theirs, key["key"]), 403, "SESSION_REQUIRED")
        if path:
            # The other kind's id is unknown on either path.
            refused(await call(here, number, owners, ours, owner.token), 404, "NOT_FOUND")
            refused(await call(here, number, "/admin/webhooks", theirs, ada.token), 404, "NOT_FOUND")


async def test_every_change_asks_for_a_recent_proof(here: Timed) -> None:
    account, owner = await here.people.newcomer()
    owners = f"/organizations/{await create_organization(here.api, owner)}/webhooks"
    theirs = (await make(here.api, owner, owners))["webhook"]["id"]
    here.time.advance(minutes=11)
    for number, (method, _, _) in enumerate(CALLS):
        if method != "GET":
            answer = await call(here, number, owners, theirs, owner.token)
            refused(answer, 403, "REAUTHENTICATION_REQUIRED")
    # A proof may come along; one that is wrong is refused by its name.
    path = f"{owners}/{theirs}"
    wrong = {"description": "x", "password": "not the password"}
    refused(await here.api.patch(path, wrong, bearer=owner.token), 400, "INVALID_PASSWORD")
    body = {"description": "x", "password": account.password}
    changed = accepted(await here.api.patch(path, body, bearer=owner.token))["webhook"]
    assert changed["description"] == "x"
    listed = accepted(await here.api.get(owners, bearer=owner.token))
    assert [(each["id"], each["enabled"]) for each in listed["webhooks"]] == [(theirs, True)]
