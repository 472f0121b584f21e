"""Resets that wait: who may end them, when they are carried out, and that they end once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta

import pytest

from czo_auth.core.errors import InvalidMailToken, NotFound, Refusal, TwoFactorNotEnabled, UserIsBanned
from czo_auth.core.events import types
from czo_auth.core.flows.two_factor.reset import ADMINISTRATIVE_RESET
from czo_auth.core.ids import new_id
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.factor import TotpFactor
from czo_auth.core.users.user import User
from czo_auth.crypto.sealing import new_key_text
from tests.core.flows.deployment import FROM_HERE, NOW, Town, open_town

WAIT = timedelta(days=1)
DUE = NOW + WAIT
EARLY = DUE - timedelta(milliseconds=1)
ROUNDS = 12
OPERATOR = FROM_HERE


@pytest.fixture
async def town(migrated_url: str) -> AsyncIterator[Town]:
    async with open_town(migrated_url, recovery_wait_seconds=int(WAIT.total_seconds())) as opened:
        yield opened


@pytest.fixture
async def two_doors(migrated_url: str) -> AsyncIterator[tuple[Town, Town]]:
    """Two processes' worth of the same deployment: nothing but the database keeps their acts apart."""
    key, wait = new_key_text(), int(WAIT.total_seconds())
    async with (
        open_town(migrated_url, key=key, recovery_wait_seconds=wait) as first,
        open_town(migrated_url, key=key, recovery_wait_seconds=wait) as second,
    ):
        yield first, second


async def put_factor(town: Town, user_id: str) -> None:
    """Give somebody a second factor, of which these tests need no code."""
    factor = TotpFactor(
        id=new_id(NOW), user_id=user_id, sealed_secret="v1.k1.nonce.sealed", last_step=0, enabled_at=NOW
    )
    await town.transactions.run(lambda tx: tx.two_factor.put_factor(factor))


async def administrator(town: Town, name: str = "root") -> Principal:
    user = await town.user(name)
    await put_factor(town, user.id)
    held = frozenset({"admin", "customer"})
    await town.transactions.run(lambda tx: tx.users.set_actor_types(user.id, actor_types=held, now=NOW))
    return await town.proved(await town.sign_in(user))


async def protected(town: Town, name: str = "carol") -> User:
    user = await town.user(name)
    await put_factor(town, user.id)
    return user


async def ask(town: Town, admin: Principal, user: User) -> None:
    by_admin = FROM_HERE.of(admin)
    reset = await town.runtime.recovery.ask(admin, user.id, reason="lost", provenance=by_admin, now=NOW)
    assert reset is not None
    assert reset.due_at == DUE


async def has_factor(town: Town, user: User) -> bool:
    found = await town.transactions.read(lambda tx: tx.users.find(user.id))
    assert found is not None
    return found.has_factor


async def outcomes(town: Town) -> list[object]:
    """Say how the resets ended that did not come about."""
    return [event.data["reason"] for event in await town.events(types.TWO_FACTOR_RESET_CANCELLED)]


async def mails(town: Town) -> list[str]:
    await town.runtime.stop()
    return [message.kind for message in town.postbox.messages]


async def done(act: Awaitable[object]) -> bool:
    try:
        await act
    except Refusal:
        return False
    return True


# --- when it is due --------------------------------------------------------------------------------------------------
async def test_reset_is_carried_out_when_it_is_due_and_not_before(town: Town) -> None:
    admin, carol = await administrator(town), await protected(town)
    await town.sign_in(carol)
    await ask(town, admin, carol)
    await town.runtime.recovery.carry_out_due(now=EARLY)
    assert await has_factor(town, carol)
    assert await town.audit(ADMINISTRATIVE_RESET) == []

    await town.runtime.recovery.carry_out_due(now=DUE)
    assert not await has_factor(town, carol)
    (record,) = await town.audit(ADMINISTRATIVE_RESET)
    assert record.provenance.actor_kind == "system"
    assert (record.fact.details["askedBy"], record.fact.details["reason"]) == (admin.user_id, "lost")
    assert [event.data["reset"] for event in await town.events(types.TWO_FACTOR_DISABLED)] == [True]
    ended = await town.events(types.SESSION_REVOKED)
    assert [(event.user_id, event.data["reason"]) for event in ended] == [(carol.id, "two_factor_reset")]

    await town.runtime.recovery.carry_out_due(now=DUE + WAIT)
    assert len(await town.audit(ADMINISTRATIVE_RESET)) == 1
    assert await mails(town) == ["two_factor_reset_asked", "two_factor_reset"]


@pytest.mark.parametrize("lost", ["hat", "factor", "ban"])
async def test_reset_dies_when_who_asked_could_not_ask_any_more(town: Town, lost: str) -> None:
    admin, carol = await administrator(town), await protected(town)
    await ask(town, admin, carol)
    administer = town.runtime.administer
    match lost:
        case "hat":
            await administer.change_actor_types(
                admin.user_id, add=(), remove=("admin",), provenance=OPERATOR, now=NOW
            )
        case "factor":
            await town.runtime.recovery.reset_now(admin.user_id, reason="lost", provenance=OPERATOR, now=NOW)
        case _:
            await administer.ban(admin.user_id, reason="stolen", provenance=OPERATOR, now=NOW)
    await town.runtime.recovery.carry_out_due(now=DUE)
    assert await has_factor(town, carol)
    assert await outcomes(town) == ["asker_lost_rights"]
    assert (await mails(town))[-1] == "two_factor_reset_cancelled"


async def test_ban_of_the_user_calls_the_reset_off_for_good_and_tells_nobody(town: Town) -> None:
    admin, carol = await administrator(town), await protected(town)
    await ask(town, admin, carol)
    await town.runtime.administer.ban(carol.id, reason="fraud", provenance=OPERATOR, now=NOW)
    with pytest.raises(UserIsBanned):
        await ask(town, admin, carol)
    await town.runtime.administer.unban(carol.id, provenance=OPERATOR, now=NOW)
    await town.runtime.recovery.carry_out_due(now=DUE)
    assert await has_factor(town, carol)
    assert await outcomes(town) == ["user_banned"]
    assert await mails(town) == ["two_factor_reset_asked"]


async def test_operator_does_not_wait_and_supersedes_what_does(town: Town) -> None:
    admin, carol = await administrator(town), await protected(town)
    await ask(town, admin, carol)
    await town.runtime.recovery.reset_now(carol.id, reason="seen", provenance=OPERATOR, now=NOW)
    assert not await has_factor(town, carol)
    assert await outcomes(town) == ["superseded"]
    await put_factor(town, carol.id)
    await town.runtime.recovery.carry_out_due(now=DUE)
    assert await has_factor(town, carol)
    assert await mails(town) == ["two_factor_reset_asked", "two_factor_reset"]


async def test_lock_alone_is_lifted_at_once(town: Town) -> None:
    """Nothing is taken from somebody without a factor, so there is nothing to wait for."""
    admin, bob = await administrator(town), await town.user("bob")
    recovery = town.runtime.recovery
    with pytest.raises(TwoFactorNotEnabled):
        await recovery.ask(admin, bob.id, reason="locked", provenance=FROM_HERE, now=NOW)
    await town.transactions.run(lambda tx: tx.two_factor.lock_until(bob.id, until=None, stopped=True))
    assert await recovery.ask(admin, bob.id, reason="locked", provenance=FROM_HERE, now=NOW) is None
    assert await town.transactions.read(lambda tx: tx.two_factor.find_lock(bob.id)) == (None, False)


async def test_a_reset_that_fails_does_not_hold_up_the_next_turn(two_doors: tuple[Town, Town]) -> None:
    """A wait that was shortened to nothing leaves what waits already; housekeeping needs no setting."""
    first, _ = two_doors
    admin = await administrator(first)
    people = [await protected(first, f"user{number}") for number in range(3)]
    for user in people:
        await ask(first, admin, user)
    await first.runtime.recovery.cancel(people[1].id, provenance=OPERATOR, now=NOW)
    await first.runtime.recovery.carry_out_due(now=DUE)
    assert [await has_factor(first, user) for user in people] == [False, True, False]


# --- races -----------------------------------------------------------------------------------------------------------
async def test_of_a_due_reset_and_its_cancellation_one_wins(two_doors: tuple[Town, Town]) -> None:
    first, second = two_doors
    admin = await administrator(first)
    for number in range(ROUNDS):
        user = await protected(first, f"user{number}")
        await ask(first, admin, user)
        _, cancelled = await asyncio.gather(
            first.runtime.recovery.carry_out_due(now=DUE),
            done(second.runtime.recovery.cancel(user.id, provenance=OPERATOR, now=DUE)),
        )
        assert await has_factor(first, user) == cancelled
        said = [
            event.type
            for event in await first.events(types.TWO_FACTOR_RESET_CANCELLED, types.TWO_FACTOR_DISABLED)
            if event.user_id == user.id
        ]
        assert said == [types.TWO_FACTOR_RESET_CANCELLED if cancelled else types.TWO_FACTOR_DISABLED]


async def test_processes_that_carry_out_together_do_it_once_and_tell_once(
    two_doors: tuple[Town, Town],
) -> None:
    admin = await administrator(two_doors[0])
    people = [await protected(two_doors[0], f"user{number}") for number in range(ROUNDS)]
    for user in people:
        await ask(two_doors[0], admin, user)
    await asyncio.gather(*(town.runtime.recovery.carry_out_due(now=DUE) for town in two_doors for _ in "ab"))
    assert len(await two_doors[0].audit(ADMINISTRATIVE_RESET)) == ROUNDS
    kinds = [kind for town in two_doors for kind in await mails(town)]
    assert kinds.count("two_factor_reset") == ROUNDS


async def test_a_link_cancels_once(two_doors: tuple[Town, Town]) -> None:
    first, second = two_doors
    admin, carol = await administrator(first), await protected(first)
    await ask(first, admin, carol)
    await asyncio.sleep(0.05)
    token = str(first.postbox.messages[-1].token)
    results = await asyncio.gather(
        *(
            done(town.runtime.recovery.cancel_by_token(token, provenance=FROM_HERE, now=NOW))
            for town in two_doors
            for _ in range(8)
        )
    )
    assert results.count(True) == 1
    assert await outcomes(first) == ["link_used"]
    with pytest.raises(InvalidMailToken):
        await second.runtime.recovery.cancel_by_token(token, provenance=FROM_HERE, now=NOW)
    with pytest.raises(NotFound):
        await first.runtime.recovery.cancel(carol.id, provenance=OPERATOR, now=NOW)


async def test_reset_that_was_replaced_while_housekeeping_came_is_not_the_new_one(town: Town) -> None:
    admin, carol = await administrator(town), await protected(town)
    recovery = town.runtime.recovery
    await ask(town, admin, carol)
    ((seen,), _) = await recovery.list_waiting(limit=1)
    await recovery.cancel(carol.id, provenance=OPERATOR, now=NOW)
    await ask(town, admin, carol)
    await town.transactions.run(lambda tx: recovery._carry_out(tx, reset=seen, now=DUE))
    assert await has_factor(town, carol)
    assert (await recovery.list_waiting(limit=1))[1] == 1


async def test_user_that_is_gone_takes_the_reset_along(town: Town) -> None:
    admin, carol = await administrator(town), await protected(town)
    await ask(town, admin, carol)

    def delete(tx: Transaction) -> None:
        tx.users._connection.exec_driver_sql(  # type: ignore[attr-defined]
            f"DELETE FROM czo_auth_users WHERE id = '{carol.id}'"
        )

    await town.transactions.run(delete)
    await town.runtime.recovery.carry_out_due(now=DUE)
    assert await town.runtime.recovery.list_waiting(limit=5) == ([], 0)
