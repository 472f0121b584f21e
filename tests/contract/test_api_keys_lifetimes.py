"""The longest life of API keys, of a deployment and of an organization (docs/decisions/0011)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.contract.acting import create_key, create_organization, join, listed_keys
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.keys import moment
from tests.contract.people import Session

DAY = 86_400


async def set_rules(timed: Timed, session: Session, organization: str, **rules: object) -> Answer:
    return await timed.api.patch(f"/organizations/{organization}", rules, bearer=session.token)


def in_days(timed: Timed, days: float) -> str:
    return moment(timed.clock() + timedelta(days=days))


async def test_owner_sets_the_rules_and_members_see_them(timed: Timed) -> None:
    _, owner = await timed.people.newcomer()
    organization = await create_organization(timed.api, owner)
    for session, role in ((owner, "owner"), ((viewer := await timed.people.newcomer())[1], "viewer")):
        if role == "viewer":
            await join(timed.api, owner, organization, viewer, "viewer")
            refused(await set_rules(timed, session, organization, apiKeyMaxDays=9), 403, "FORBIDDEN")
        else:
            ruled = accepted(
                await set_rules(timed, session, organization, apiKeyMaxDays=30, apiKeyUnusedDays=14)
            )
            assert ruled["organization"]["apiKeyMaxDays"] == 30
        seen = accepted(await timed.api.get(f"/organizations/{organization}", bearer=session.token))
        assert (seen["organization"]["apiKeyMaxDays"], seen["organization"]["apiKeyUnusedDays"]) == (30, 14)
    lifted = accepted(await set_rules(timed, owner, organization, apiKeyMaxDays=None))["organization"]
    assert (lifted["apiKeyMaxDays"], lifted["apiKeyUnusedDays"]) == (None, 14)


@pytest.mark.parametrize("days", [0, -1, 3651, 10**7, "30", 1.5, True])
async def test_rules_that_make_no_sense_are_refused(timed_sqlite: Timed, days: object) -> None:
    _, owner = await timed_sqlite.people.newcomer()
    organization = await create_organization(timed_sqlite.api, owner)
    for name in ("apiKeyMaxDays", "apiKeyUnusedDays"):
        refused(await set_rules(timed_sqlite, owner, organization, **{name: days}), 400, "VALIDATION_ERROR")


async def test_no_key_of_the_organization_outlives_its_limit(timed: Timed) -> None:
    _, owner = await timed.people.newcomer()
    organization = await create_organization(timed.api, owner)
    old = await create_key(timed.api, owner, organizationId=organization)
    accepted(await set_rules(timed, owner, organization, apiKeyMaxDays=30))
    end = in_days(timed, 30)

    async def create(**more: object) -> Answer:
        body = {"name": "k", "organizationId": organization, **more}
        return await timed.api.post("/api-keys", body, bearer=owner.token)

    # The key of before ends with the others.
    (listed,) = await listed_keys(timed.api, owner)
    assert (listed["id"], listed["expiresAt"]) == (old["id"], end)
    assert accepted(await create(), 201)["apiKey"]["expiresAt"] == end
    assert accepted(await create(expiresIn=30 * DAY), 201)["apiKey"]["expiresAt"] == end
    for more in ({"expiresIn": 30 * DAY + 1}, {"expiresAt": in_days(timed, 31)}):
        body = refused(await create(**more), 400, "VALIDATION_ERROR")
        assert body["details"] == [{"loc": "expiresAt", "msg": "A key lives at most 30 days here."}]
    bettered: dict[str, Any] = {"name": "k", "organizationId": organization, "expiresIn": 31 * DAY}
    answer = await timed.api.post("/api-key/create", bettered, bearer=owner.token)
    refused(answer, 400, "EXPIRES_IN_IS_TOO_LARGE")
    # Other keys continue as before.
    assert (await create_key(timed.api, owner))["expiresAt"] is None


async def test_key_is_neither_extended_nor_rotated_beyond_the_limit(timed: Timed) -> None:
    _, owner = await timed.people.newcomer()
    organization = await create_organization(timed.api, owner)
    accepted(await set_rules(timed, owner, organization, apiKeyMaxDays=30))
    key = await create_key(timed.api, owner, organizationId=organization, expiresIn=10 * DAY)

    async def move(at: object) -> Answer:
        return await timed.api.patch(f"/api-keys/{key['id']}", {"expiresAt": at}, bearer=owner.token)

    beyond, last = in_days(timed, 30.1), in_days(timed, 30)
    timed.time.advance(days=3)
    for at in (None, beyond):
        refused(await move(at), 400, "VALIDATION_ERROR")
    # Counted from its creation: moving it again and again leads nowhere.
    assert accepted(await move(last))["apiKey"]["expiresAt"] == last
    timed.time.advance(days=3)
    refused(await move(in_days(timed, 25)), 400, "VALIDATION_ERROR")
    rotated = accepted(await timed.api.post(f"/api-keys/{key['id']}/rotate", {}, bearer=owner.token), 201)[
        "apiKey"
    ]
    assert rotated["expiresAt"] == last


async def test_limit_of_the_deployment_binds_all_and_the_shorter_one_wins(deploy: Deploy) -> None:
    timed = await deploy(api_key_max_days=20)
    _, owner = await timed.people.newcomer()
    organization = await create_organization(timed.api, owner)
    assert (await create_key(timed.api, owner))["expiresAt"] == in_days(timed, 20)
    accepted(await set_rules(timed, owner, organization, apiKeyMaxDays=40))
    scoped = await create_key(timed.api, owner, organizationId=organization)
    assert scoped["expiresAt"] == in_days(timed, 20)
    accepted(await set_rules(timed, owner, organization, apiKeyMaxDays=5))
    assert {
        key["expiresAt"] for key in await listed_keys(timed.api, owner, f"?organizationId={organization}")
    } == {in_days(timed, 5)}
