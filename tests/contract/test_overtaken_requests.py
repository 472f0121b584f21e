"""What happens in the middle of a request: before each of the times that it goes to the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.deployments import Timed
from tests.contract.passkeys import begin_second_step, begin_sign_in, finish_sign_in, register
from tests.contract.people import Session
from tests.contract.policy import acme_of, said
from tests.support.authenticator import Authenticator
from tests.support.interrupt import Act, Interruption

MOMENTS = 20


async def at_each_moment(
    timed: Timed,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[], Awaitable[tuple[Act, Callable[[], Awaitable[Answer]]]]],
    check: Callable[[Answer], Awaitable[None]],
) -> None:
    """
    Try every order in which an act can meet a request; each time with something new of *prepare*.

    Args:
        prepare: Gives the act and the request.
        check: Looks at the answer of a request that was overtaken.
    """
    for moment in range(1, MOMENTS):
        act, ask = await prepare()
        overtaken = Interruption(
            timed.auth.services.transactions, act, before=moment, monkeypatch=monkeypatch
        )
        answer = await overtaken.during(ask())
        if not overtaken.came:
            assert answer.status_code == 200
            assert moment > 1
            return
        await check(answer)
    raise AssertionError("the request never ended")


# --- rules with a date -----------------------------------------------------------------------------------------------
async def test_deadline_that_passes_during_a_request_counts_from_the_next_one(
    timed: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half of a request is refused: it acts as of the time at which it began."""
    acme = await acme_of(timed)
    deadline = timed.clock() + timedelta(minutes=5)
    accepted(await acme.demand(deadline))

    async def pass_it() -> None:
        timed.time.now = deadline

    async def prepare() -> tuple[Act, Callable[[], Awaitable[Answer]]]:
        timed.time.now = deadline - timedelta(milliseconds=1)
        return pass_it, lambda: timed.api.patch(acme.path, {"name": "New"}, bearer=acme.member.token)

    async def check(answer: Answer) -> None:
        assert answer.status_code == 200, answer.text
        assert await acme.is_refused()

    await at_each_moment(timed, monkeypatch, prepare, check)


async def test_rule_that_is_set_during_a_sign_in_binds_its_session(
    timed: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = await acme_of(timed)

    async def demand() -> None:
        accepted(await acme.demand(timed.clock()))

    async def prepare() -> tuple[Act, Callable[[], Awaitable[Answer]]]:
        accepted(await acme.demand(None))
        return demand, lambda: timed.people.begin(acme.account)

    async def check(answer: Answer) -> None:
        acme.member = Session.of(answer)
        assert answer.json()["requires2FA"] is False
        assert await acme.is_refused()
        activated = await timed.api.post(f"{acme.path}/activate", bearer=acme.member.token)
        refused(activated, 403, "ORGANIZATION_TWO_FACTOR_REQUIRED")
        assert await acme.due_at() == said(timed.clock())
        assert await timed.people.is_alive(acme.member)

    await at_each_moment(timed, monkeypatch, prepare, check)


# --- passkeys --------------------------------------------------------------------------------------------------------
async def test_passkey_that_is_removed_in_the_meantime_signs_nobody_in(
    timed: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def prepare() -> tuple[Act, Callable[[], Awaitable[Answer]]]:
        _, session = await timed.people.newcomer()
        device = Authenticator(timed.api.origin)
        passkey = await register(timed, session, device)
        options = await begin_sign_in(timed)

        async def remove() -> None:
            body = {"id": passkey["id"]}
            accepted(await timed.api.post("/passkey/delete-passkey", body, bearer=session.token))

        return remove, lambda: finish_sign_in(timed, options, device.get(options))

    async def check(answer: Answer) -> None:
        if answer.status_code == 200:
            assert not await timed.people.is_alive(Session.of(answer))
        else:
            refused(answer, 401, "AUTHENTICATION_FAILED")

    await at_each_moment(timed, monkeypatch, prepare, check)


async def test_passkey_that_is_removed_in_the_meantime_raises_no_session(
    timed: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def prepare() -> tuple[Act, Callable[[], Awaitable[Answer]]]:
        account, session = await timed.people.newcomer()
        device = Authenticator(timed.api.origin)
        passkey = await register(timed, session, device)
        other = await timed.people.sign_in(account)
        options = await begin_second_step(timed, bearer=session.token)
        body = {"response": device.get(options), "ceremony": options["ceremony"]}

        async def remove() -> None:
            body = {"id": passkey["id"]}
            accepted(await timed.api.post("/passkey/delete-passkey", body, bearer=other.token))

        return remove, lambda: timed.api.post("/two-factor/verify-passkey", body, bearer=session.token)

    async def check(answer: Answer) -> None:
        if answer.status_code == 200:
            assert not await timed.people.is_alive(Session.of(answer))
        else:
            assert answer.status_code == 401, answer.text

    await at_each_moment(timed, monkeypatch, prepare, check)
