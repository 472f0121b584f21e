"""Resets that wait: who may end them, when they are carried out, and that they end once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta

import pytest

from czo_auth.core.context import system_context
from czo_auth.core.errors import InvalidMailToken, NotFound, Refusal, TwoFactorNotEnabled, UserIsBanned
from czo_auth.core.events import types
from czo_auth.core.events.types import TWO_FACTOR_RESET
from czo_auth.core.paging import Page
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User
from czo_auth.crypto.sealing import new_key_text
from tests.core.flows.deployment import NOW, Deployment, open_deployment
from tests.support.records import a_factor
from tests.support.users import from_here

WAIT = timedelta(days=1)
DUE = NOW + WAIT
EARLY = DUE - timedelta(milliseconds=1)
ROUNDS = 12
operator_context = from_here


@pytest.fixture
async def deployment(migrated_url: str) -> AsyncIterator[Deployment]:
    async with open_deployment(migrated_url, recovery_wait_seconds=int(WAIT.total_seconds())) as opened:
        yield opened


@pytest.fixture
async def two_processes(migrated_url: str) -> AsyncIterator[tuple[Deployment, Deployment]]:
    """Two processes' worth of the same deployment: nothing but the database keeps their acts apart."""
    key, wait = new_key_text(), int(WAIT.total_seconds())
    async with (
        open_deployment(migrated_url, key=key, recovery_wait_seconds=wait) as first,
        open_deployment(migrated_url, key=key, recovery_wait_seconds=wait) as second,
    ):
        yield first, second


async def put_factor(deployment: Deployment, user_id: str) -> None:
    """Give somebody a second factor, of which these tests need no code."""
    factor = a_factor(user_id, now=NOW)
    await deployment.transactions.run(lambda tx: tx.two_factor.put_factor(factor))


async def administrator(deployment: Deployment, name: str = "root") -> Principal:
    user = await deployment.user(name)
    await put_factor(deployment, user.id)
    actor_types = frozenset({"admin", "customer"})
    await deployment.transactions.run(
        lambda tx: tx.users.set_actor_types(user.id, actor_types=actor_types, grants={}, now=NOW)
    )
    return await deployment.proved(await deployment.sign_in(user))


async def protected(deployment: Deployment, name: str = "carol") -> User:
    user = await deployment.user(name)
    await put_factor(deployment, user.id)
    return user


async def ask(deployment: Deployment, admin: Principal, user: User) -> None:
    reset = await deployment.runtime.recovery.ask(user.id, reason="lost", context=from_here(NOW).of(admin))
    assert reset is not None
    assert reset.due_at == DUE


async def has_factor(deployment: Deployment, user: User) -> bool:
    found = await deployment.transactions.read(lambda tx: tx.users.find(user.id))
    assert found is not None
    return found.has_factor


async def outcomes(deployment: Deployment) -> list[object]:
    """Say how the resets ended that did not come about."""
    return [event.data["reason"] for event in await deployment.events(types.TWO_FACTOR_RESET_CANCELLED)]


async def mails(deployment: Deployment) -> list[str]:
    await deployment.runtime.stop()
    return [message.kind for message in deployment.mailbox.messages]


async def done(act: Awaitable[object]) -> bool:
    try:
        await act
    except Refusal:
        return False
    return True


# --- when it is due --------------------------------------------------------------------------------------------------
async def test_reset_is_carried_out_when_it_is_due_and_not_before(deployment: Deployment) -> None:
    admin, carol = await administrator(deployment), await protected(deployment)
    await deployment.sign_in(carol)
    await ask(deployment, admin, carol)
    await deployment.runtime.recovery.carry_out_due(now=EARLY)
    assert await has_factor(deployment, carol)
    assert await deployment.audit(TWO_FACTOR_RESET) == []

    await deployment.runtime.recovery.carry_out_due(now=DUE)
    assert not await has_factor(deployment, carol)
    (record,) = await deployment.audit(TWO_FACTOR_RESET)
    assert record.context.actor_kind == "system"
    assert (record.audit_event.details["askedBy"], record.audit_event.details["reason"]) == (
        admin.user_id,
        "lost",
    )
    assert [event.data["reset"] for event in await deployment.events(types.TWO_FACTOR_DISABLED)] == [True]
    ended = await deployment.events(types.SESSION_REVOKED)
    assert [(event.user_id, event.data["reason"]) for event in ended] == [(carol.id, "two_factor_reset")]

    await deployment.runtime.recovery.carry_out_due(now=DUE + WAIT)
    assert len(await deployment.audit(TWO_FACTOR_RESET)) == 1
    assert await mails(deployment) == ["two_factor_reset_asked", "two_factor_reset"]


@pytest.mark.parametrize("lost", ["actor_type", "factor", "ban"])
async def test_reset_ends_when_its_requester_loses_the_right_to_ask(
    deployment: Deployment, lost: str
) -> None:
    admin, carol = await administrator(deployment), await protected(deployment)
    await ask(deployment, admin, carol)
    administration = deployment.runtime.administration
    match lost:
        case "actor_type":
            await administration.change_actor_types(
                admin.user_id, add=(), remove=("admin",), force=True, context=operator_context(NOW)
            )
        case "factor":
            await deployment.runtime.recovery.reset_now(
                admin.user_id, reason="lost", context=operator_context(NOW)
            )
        case _:
            await administration.ban(
                admin.user_id, reason="stolen", force=True, context=operator_context(NOW)
            )
    await deployment.runtime.recovery.carry_out_due(now=DUE)
    assert await has_factor(deployment, carol)
    assert await outcomes(deployment) == ["asker_lost_rights"]
    assert (await mails(deployment))[-1] == "two_factor_reset_cancelled"


async def test_ban_of_the_user_calls_the_reset_off_for_good_and_tells_nobody(deployment: Deployment) -> None:
    admin, carol = await administrator(deployment), await protected(deployment)
    await ask(deployment, admin, carol)
    await deployment.runtime.administration.ban(carol.id, reason="fraud", context=operator_context(NOW))
    with pytest.raises(UserIsBanned):
        await ask(deployment, admin, carol)
    await deployment.runtime.administration.unban(carol.id, context=operator_context(NOW))
    await deployment.runtime.recovery.carry_out_due(now=DUE)
    assert await has_factor(deployment, carol)
    assert await outcomes(deployment) == ["user_banned"]
    assert await mails(deployment) == ["two_factor_reset_asked"]


async def test_operator_does_not_wait_and_supersedes_what_does(deployment: Deployment) -> None:
    admin, carol = await administrator(deployment), await protected(deployment)
    await ask(deployment, admin, carol)
    await deployment.runtime.recovery.reset_now(carol.id, reason="seen", context=operator_context(NOW))
    assert not await has_factor(deployment, carol)
    assert await outcomes(deployment) == ["superseded"]
    await put_factor(deployment, carol.id)
    await deployment.runtime.recovery.carry_out_due(now=DUE)
    assert await has_factor(deployment, carol)
    assert await mails(deployment) == ["two_factor_reset_asked", "two_factor_reset"]


async def test_lock_alone_is_lifted_at_once(deployment: Deployment) -> None:
    """Nothing is taken from somebody without a factor, so there is nothing to wait for."""
    admin, bob = await administrator(deployment), await deployment.user("bob")
    recovery = deployment.runtime.recovery
    with pytest.raises(TwoFactorNotEnabled):
        await recovery.ask(bob.id, reason="locked", context=from_here(NOW).of(admin))
    await deployment.transactions.run(lambda tx: tx.challenges.lock_until(bob.id, until=None, stopped=True))
    assert await recovery.ask(bob.id, reason="locked", context=from_here(NOW).of(admin)) is None
    assert await deployment.transactions.read(lambda tx: tx.challenges.find_lock(bob.id)) == (None, False)


async def test_a_reset_that_fails_does_not_hold_up_the_next_turn(
    two_processes: tuple[Deployment, Deployment],
) -> None:
    """A wait that was shortened to nothing leaves what waits already; housekeeping needs no setting."""
    first, _ = two_processes
    admin = await administrator(first)
    people = [await protected(first, f"user{number}") for number in range(3)]
    for user in people:
        await ask(first, admin, user)
    await first.runtime.recovery.cancel(people[1].id, context=operator_context(NOW))
    await first.runtime.recovery.carry_out_due(now=DUE)
    assert [await has_factor(first, user) for user in people] == [False, True, False]


# --- races -----------------------------------------------------------------------------------------------------------
@pytest.mark.each_database
async def test_of_a_due_reset_and_its_cancellation_one_wins(
    two_processes: tuple[Deployment, Deployment],
) -> None:
    first, second = two_processes
    admin = await administrator(first)
    for number in range(ROUNDS):
        user = await protected(first, f"user{number}")
        await ask(first, admin, user)
        _, cancelled = await asyncio.gather(
            first.runtime.recovery.carry_out_due(now=DUE),
            done(second.runtime.recovery.cancel(user.id, context=operator_context(DUE))),
        )
        assert await has_factor(first, user) == cancelled
        said = [
            event.type
            for event in await first.events(types.TWO_FACTOR_RESET_CANCELLED, types.TWO_FACTOR_DISABLED)
            if event.user_id == user.id
        ]
        assert said == [types.TWO_FACTOR_RESET_CANCELLED if cancelled else types.TWO_FACTOR_DISABLED]


@pytest.mark.each_database
async def test_processes_that_carry_out_together_do_it_once_and_tell_once(
    two_processes: tuple[Deployment, Deployment],
) -> None:
    admin = await administrator(two_processes[0])
    people = [await protected(two_processes[0], f"user{number}") for number in range(ROUNDS)]
    for user in people:
        await ask(two_processes[0], admin, user)
    await asyncio.gather(
        *(deployment.runtime.recovery.carry_out_due(now=DUE) for deployment in two_processes for _ in "ab")
    )
    assert len(await two_processes[0].audit(TWO_FACTOR_RESET)) == ROUNDS
    kinds = [kind for deployment in two_processes for kind in await mails(deployment)]
    assert kinds.count("two_factor_reset") == ROUNDS


@pytest.mark.each_database
async def test_a_link_cancels_once(two_processes: tuple[Deployment, Deployment]) -> None:
    first, second = two_processes
    admin, carol = await administrator(first), await protected(first)
    await ask(first, admin, carol)
    token = str((await first.mailbox.newest()).token)
    results = await asyncio.gather(
        *(
            done(deployment.runtime.recovery.cancel_by_token(token, context=from_here(NOW)))
            for deployment in two_processes
            for _ in range(8)
        )
    )
    assert results.count(True) == 1
    assert await outcomes(first) == ["link_used"]
    with pytest.raises(InvalidMailToken):
        await second.runtime.recovery.cancel_by_token(token, context=from_here(NOW))
    with pytest.raises(NotFound):
        await first.runtime.recovery.cancel(carol.id, context=operator_context(NOW))


async def test_reset_that_was_replaced_while_housekeeping_came_is_not_the_new_one(
    deployment: Deployment,
) -> None:
    admin, carol = await administrator(deployment), await protected(deployment)
    recovery = deployment.runtime.recovery
    await ask(deployment, admin, carol)
    (seen,) = (await recovery.list_waiting()).items
    await recovery.cancel(carol.id, context=operator_context(NOW))
    await ask(deployment, admin, carol)
    await deployment.transactions.run(
        lambda tx: recovery._carry_out(tx.acting_as(system_context(DUE)), reset=seen)
    )
    assert await has_factor(deployment, carol)
    assert (await recovery.list_waiting()).total == 1


async def test_reset_ends_with_its_user(deployment: Deployment) -> None:
    admin, carol = await administrator(deployment), await protected(deployment)
    await ask(deployment, admin, carol)

    def delete(tx: Transaction) -> None:
        tx.users._connection.exec_driver_sql(  # type: ignore[attr-defined]
            f"DELETE FROM czo_auth_users WHERE id = '{carol.id}'"
        )

    await deployment.transactions.run(delete)
    await deployment.runtime.recovery.carry_out_due(now=DUE)
    assert (await deployment.runtime.recovery.list_waiting()) == Page(items=[], total=0)
