"""Requests that may be repeated: one of them acts, the others are told what it was answered."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from czo_auth.core.context import Context
from czo_auth.core.errors import (
    IdempotencyKeyReused,
    NotFound,
    RequestInProgress,
    SessionRequired,
    ValidationFailed,
)
from czo_auth.core.flows.idempotency import CompletedRequest, IdempotentRequests, RunningRequest
from czo_auth.core.idempotency.answer import ANSWER_LIFETIME
from czo_auth.core.limits import MAX_IDEMPOTENT_REQUESTS
from czo_auth.core.principal import Principal
from tests.core.flows.deployment import NOW, Deployment

ROUTE = "POST /api-keys"


def requests_of(deployment: Deployment) -> IdempotentRequests:
    return deployment.runtime.idempotency


async def run_once(
    deployment: Deployment, person: Principal, *, name: str = "n", body: bytes = b"{}", now: datetime = NOW
) -> str:
    requests = requests_of(deployment)
    running = await requests.begin(name=name, route=ROUTE, body=body, context=Context(now=now).of(person))
    assert isinstance(running, RunningRequest)
    return await requests.keep(running, b'{"key": "czo_secret"}')


async def test_repeated_request_gets_the_answer_of_the_first(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    answer_id = await run_once(deployment, ada)
    again = await requests_of(deployment).begin(
        name="n", route=ROUTE, body=b"{}", context=Context(now=NOW).of(ada)
    )
    assert again == CompletedRequest(id=answer_id, answer=b'{"key": "czo_secret"}')
    assert await requests_of(deployment).read(answer_id, context=Context(now=NOW).of(ada)) == again


async def test_stored_answer_is_encrypted(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    await run_once(deployment, ada, body=b'{"password": "hunter2hunter2"}')
    lineage = ada.lineage_id or ""

    def rows(tx: object) -> str:
        connection, tables = tx.connection, tx.tables  # type: ignore[attr-defined]
        return str(connection.execute(tables.kept_answers.select()).all())

    stored = await deployment.transactions.read(rows)
    assert lineage in stored
    assert "czo_secret" not in stored
    assert "hunter2" not in stored


async def test_running_request_is_distinguished(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    await requests_of(deployment).begin(name="n", route=ROUTE, body=b"{}", context=Context(now=NOW).of(ada))
    with pytest.raises(RequestInProgress):
        await requests_of(deployment).begin(
            name="n", route=ROUTE, body=b"{}", context=Context(now=NOW).of(ada)
        )


async def test_another_body_is_refused(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    await run_once(deployment, ada)
    with pytest.raises(IdempotencyKeyReused):
        await requests_of(deployment).begin(
            name="n", route=ROUTE, body=b'{"a":1}', context=Context(now=NOW).of(ada)
        )


@pytest.mark.parametrize("other", ["route", "name", "session"])
async def test_another_route_name_or_session_is_another_request(deployment: Deployment, other: str) -> None:
    ada = await deployment.person("ada")
    answer_id = await run_once(deployment, ada)
    user = await deployment.transactions.read(lambda tx: tx.users.find(ada.user_id))
    assert user is not None
    who = await deployment.proved(await deployment.sign_in(user)) if other == "session" else ada
    name = "other" if other == "name" else "n"
    route = "POST /other" if other == "route" else ROUTE
    begun = await requests_of(deployment).begin(
        name=name, route=route, body=b"{}", context=Context(now=NOW).of(who)
    )
    assert isinstance(begun, RunningRequest)
    if other == "session":
        with pytest.raises(NotFound):
            await requests_of(deployment).read(answer_id, context=Context(now=NOW).of(who))


async def test_renewal_of_the_session_keeps_the_name(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    await run_once(deployment, ada)
    renewed = replace(ada, session_id="another")
    again = await requests_of(deployment).begin(
        name="n", route=ROUTE, body=b"{}", context=Context(now=NOW).of(renewed)
    )
    assert isinstance(again, CompletedRequest)


async def test_refused_request_frees_its_name(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    running = await requests_of(deployment).begin(
        name="n", route=ROUTE, body=b"{}", context=Context(now=NOW).of(ada)
    )
    assert isinstance(running, RunningRequest)
    await requests_of(deployment).abandon(running)
    again = await requests_of(deployment).begin(
        name="n", route=ROUTE, body=b"other", context=Context(now=NOW).of(ada)
    )
    assert isinstance(again, RunningRequest)


async def test_name_is_free_after_ten_minutes_and_the_answer_is_gone(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    answer_id = await run_once(deployment, ada)
    later = NOW + ANSWER_LIFETIME
    with pytest.raises(NotFound):
        await requests_of(deployment).read(answer_id, context=Context(now=later).of(ada))
    begun = await requests_of(deployment).begin(
        name="n", route=ROUTE, body=b"other", context=Context(now=later).of(ada)
    )
    assert isinstance(begun, RunningRequest)


async def test_expired_answers_are_pruned(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    await run_once(deployment, ada)
    late = NOW + ANSWER_LIFETIME + timedelta(milliseconds=1)
    assert await deployment.transactions.run(lambda tx: tx.idempotency.prune_expired(before=NOW)) == 0
    assert await deployment.transactions.run(lambda tx: tx.idempotency.prune_expired(before=late)) == 1


@pytest.mark.each_database
async def test_one_of_many_concurrent_requests_runs(two_deployments: tuple[Deployment, Deployment]) -> None:
    first, second = two_deployments
    ada = await first.person("ada")

    async def begin(deployment: Deployment) -> str:
        try:
            begun = await requests_of(deployment).begin(
                name="n", route=ROUTE, body=b"{}", context=Context(now=NOW).of(ada)
            )
        except RequestInProgress:
            return "in progress"
        return type(begun).__name__

    outcomes = await asyncio.gather(*(begin(deployment) for _ in range(8) for deployment in (first, second)))
    assert sorted(outcomes) == ["RunningRequest"] + ["in progress"] * 15


async def test_a_session_keeps_a_bounded_number_of_answers(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    for number in range(MAX_IDEMPOTENT_REQUESTS + 5):
        await run_once(deployment, ada, name=f"n{number}")

    def count(tx: object) -> int:
        connection, tables = tx.connection, tx.tables  # type: ignore[attr-defined]
        return len(connection.execute(tables.kept_answers.select()).all())

    assert await deployment.transactions.read(count) == MAX_IDEMPOTENT_REQUESTS


async def test_oldest_of_as_many_answers_as_are_kept_is_still_given(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    kept = [
        await run_once(deployment, ada, name=f"n{number}", now=NOW + timedelta(seconds=number))
        for number in range(MAX_IDEMPOTENT_REQUESTS)
    ]
    again = await requests_of(deployment).begin(
        name="n0", route=ROUTE, body=b"{}", context=Context(now=NOW).of(ada)
    )
    assert again == CompletedRequest(id=kept[0], answer=b'{"key": "czo_secret"}')


async def test_oldest_answers_are_forgotten_first(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    for number in range(MAX_IDEMPOTENT_REQUESTS + 2):
        await run_once(deployment, ada, name=f"n{number}", now=NOW + timedelta(milliseconds=number))

    async def is_kept(number: int) -> bool:
        again = await requests_of(deployment).begin(
            name=f"n{number}", route=ROUTE, body=b"{}", context=Context(now=NOW).of(ada)
        )
        return isinstance(again, CompletedRequest)

    assert [await is_kept(number) for number in (MAX_IDEMPOTENT_REQUESTS + 1, 2, 1)] == [True, True, False]


async def test_request_that_later_ones_overtook_keeps_its_name(deployment: Deployment) -> None:
    """It began first and reached the database last; a repetition of it must not run beside it."""
    ada = await deployment.person("ada")
    for number in range(MAX_IDEMPOTENT_REQUESTS):
        await run_once(deployment, ada, name=f"n{number}", now=NOW + timedelta(seconds=1))
    answer_id = await run_once(deployment, ada, name="slow", now=NOW)
    again = await requests_of(deployment).begin(
        name="slow", route=ROUTE, body=b"{}", context=Context(now=NOW).of(ada)
    )
    assert again == CompletedRequest(id=answer_id, answer=b'{"key": "czo_secret"}')


@pytest.mark.parametrize("name", ["", " ", "a" * 256, "tab\there", "ünïcode", "line\n", " lead", "trail "])
async def test_name_of_another_form_is_refused(deployment: Deployment, name: str) -> None:
    ada = await deployment.person("ada")
    with pytest.raises(ValidationFailed):
        await requests_of(deployment).begin(
            name=name, route=ROUTE, body=b"{}", context=Context(now=NOW).of(ada)
        )


async def test_caller_without_a_session_has_no_names(deployment: Deployment) -> None:
    ada = replace(await deployment.person("ada"), lineage_id=None)
    with pytest.raises(SessionRequired):
        await requests_of(deployment).begin(
            name="n", route=ROUTE, body=b"{}", context=Context(now=NOW).of(ada)
        )


async def test_what_an_enrollment_showed_is_gone_once_it_is_replaced_or_confirmed(
    deployment: Deployment,
) -> None:
    ada = await deployment.person("ada")
    requests = requests_of(deployment)
    for name in ("first", "second"):
        running = await requests.begin(
            name=name,
            route="POST /two-factor/enable",
            body=b"{}",
            shows_enrollment=True,
            context=Context(now=NOW).of(ada),
        )
        assert isinstance(running, RunningRequest)
        await deployment.transactions.run(lambda tx: tx.idempotency.forget_enrollment(ada.user_id))
        await requests.keep(running, b"a secret")
    begun = await requests.begin(
        name="first",
        route="POST /two-factor/enable",
        body=b"{}",
        shows_enrollment=True,
        context=Context(now=NOW).of(ada),
    )
    assert isinstance(begun, RunningRequest), "the answer of the enrollment that was replaced is gone"
