"""Requests with an Idempotency-Key (contract part two, section 18; S42)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.contract.acting import create_key, create_organization, join, listed_keys
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.deployments import Timed
from tests.contract.people import Session

NAME = {"Idempotency-Key": "2f1c7a5e-first"}


async def create(timed: Timed, session: Session, body: dict[str, Any], **headers: str) -> Answer:
    return await timed.api.post("/api-keys", body, bearer=session.token, headers=headers or NAME)


async def test_repeated_request_gets_the_same_key_and_makes_no_other(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    first = await create(timed, session, {"name": "deploy", "scopes": ["a:b"]})
    again = await create(timed, session, {"scopes": ["a:b"], "name": "deploy"})
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert accepted(again, 201)["apiKey"]["key"].startswith("czo_")
    assert again.headers["cache-control"] == "no-store"
    assert len(await listed_keys(timed.api, session)) == 1


async def test_another_body_is_422_and_makes_nothing(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    accepted(await create(timed, session, {"name": "deploy"}), 201)
    refused(await create(timed, session, {"name": "other"}), 422, "IDEMPOTENCY_KEY_REUSED")
    assert len(await listed_keys(timed.api, session)) == 1


async def test_another_session_has_names_of_its_own(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    other = Session.of(await timed.people.begin(account))
    first = accepted(await create(timed, session, {"name": "deploy"}), 201)
    second = accepted(await create(timed, other, {"name": "deploy"}), 201)
    assert first["apiKey"]["id"] != second["apiKey"]["id"]


async def test_refusals_are_not_kept(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    refused(await create(timed, session, {"name": "deploy", "expiresIn": -1}), 400, "VALIDATION_ERROR")
    accepted(await create(timed, session, {"name": "deploy"}), 201)


async def test_name_is_free_again_after_ten_minutes(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    first = accepted(await create(timed, session, {"name": "deploy"}), 201)
    timed.time.advance(seconds=601)
    second = accepted(await create(timed, session, {"name": "deploy"}), 201)
    assert first["apiKey"]["id"] != second["apiKey"]["id"]


@pytest.mark.parametrize("name", ["", "x" * 256, "a\tb", " "])
async def test_malformed_name_is_400(timed: Timed, name: str) -> None:
    _, session = await timed.people.newcomer()
    answer = await create(timed, session, {"name": "deploy"}, **{"Idempotency-Key": name})
    refused(answer, 400, "VALIDATION_ERROR")
    assert await listed_keys(timed.api, session) == []


async def test_concurrent_requests_make_one_key(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    answers = await asyncio.gather(*(create(timed, session, {"name": "deploy"}) for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    for answer in answers:
        if answer.status_code == 409:
            refused(answer, 409, "REQUEST_IN_PROGRESS")
    assert len({answer.json()["apiKey"]["key"] for answer in answers if answer.status_code == 201}) == 1
    assert len(await listed_keys(timed.api, session)) == 1


async def test_rights_are_checked_again_before_a_kept_answer_is_given(timed: Timed) -> None:
    _, owner = await timed.people.newcomer()
    organization = await create_organization(timed.api, owner)
    account, member = await timed.people.newcomer()
    await join(timed.api, owner, organization, (account, member), "admin")
    body = {"name": "deploy", "organizationId": organization}
    accepted(await create(timed, member, body), 201)
    path = f"/organizations/{organization}/members/{account.id}"
    accepted(await timed.api.patch(path, {"role": "member"}, bearer=owner.token))
    refused(await create(timed, member, body), 403, "INSUFFICIENT_API_KEY_PERMISSIONS")


async def test_rotation_is_repeatable(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    answers = [
        await timed.api.post(f"/api-keys/{key['id']}/rotate", {}, bearer=session.token, headers=NAME)
        for _ in range(2)
    ]
    assert accepted(answers[0], 201) == accepted(answers[1], 201)


async def test_enrollment_shows_the_same_secret_until_it_is_confirmed(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    body = {"password": account.password}
    first = await timed.api.post("/two-factor/enable", body, bearer=session.token, headers=NAME)
    again = await timed.api.post("/two-factor/enable", body, bearer=session.token, headers=NAME)
    assert accepted(first) == accepted(again)
    replaced = await timed.api.post("/two-factor/enable", body, bearer=session.token)
    assert accepted(replaced)["secret"] != first.json()["secret"]
    # What the replaced enrollment showed is gone, so the same name begins another one.
    once_more = await timed.api.post("/two-factor/enable", body, bearer=session.token, headers=NAME)
    assert accepted(once_more)["secret"] not in (first.json()["secret"], replaced.json()["secret"])
