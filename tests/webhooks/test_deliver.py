"""Section 19: at least once, in order per user and endpoint, and one endpoint's failure holds up no other."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from czo_auth.core.events import types
from czo_auth.core.webhooks.store import AttemptResult, WebhookWork
from czo_auth.core.webhooks.webhook import Webhook
from tests.support.receiver import Answer, Receiver, Request, drop, hang, ok, status
from tests.support.tethered import tethered
from tests.webhooks.dispatching import WebhookSetup, now, policy

ROOT = Path(__file__).parents[2]


def unless(*ids: str, otherwise: Answer) -> Answer:
    """Answer well, but *otherwise* for events with these ids."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        await (otherwise if request.id in ids else ok)(request, writer)

    return answer


def in_order(receiver: Receiver, user: str) -> list[str]:
    """Give the ids of a user's events in the order of their first coming."""
    return list(dict.fromkeys(each.id for each in receiver.requests if each.event["subject"] == user))


# --- order -----------------------------------------------------------------------------------------------------------
async def test_failing_event_holds_back_the_later_ones_of_its_user_and_no_other(setup: WebhookSetup) -> None:
    async with Receiver() as receiver:
        webhook = await setup.endpoint(receiver.url)
        events = await setup.record("ada", "bob", "ada", "bob", "ada")
        receiver.answer = unless(events[0].id, otherwise=status(500))
        long = policy(pauses=(timedelta(milliseconds=50), timedelta(hours=1)))
        async with setup.dispatching(numbers=long):
            await setup.settled(webhook, "pending", "delivered", "pending", "delivered", "pending")
            first, _, held, *_ = await setup.log(webhook)
            assert held.attempts == 0
            assert Counter(receiver.ids)[events[2].id] == 0
            assert in_order(receiver, "bob") == [events[1].id, events[3].id]
            assert first.response_status == 500


async def test_order_is_kept_once_a_failing_event_gets_through(setup: WebhookSetup) -> None:
    async with Receiver(answer=status(500)) as receiver:
        webhook = await setup.endpoint(receiver.url)
        events = await setup.record(*["ada"] * 6)
        async with setup.dispatching(numbers=policy(pauses=(timedelta(milliseconds=50),) * 50)):
            await receiver.wait_for(3)
            assert set(receiver.ids) == {events[0].id}
            receiver.answer = ok
            await setup.settled(webhook, *["delivered"] * 6)
    assert in_order(receiver, "ada") == [event.id for event in events]


async def test_dead_event_lets_the_later_ones_go(setup: WebhookSetup) -> None:
    async with Receiver() as receiver:
        webhook = await setup.endpoint(receiver.url)
        events = await setup.record("ada", "ada")
        receiver.answer = unless(events[0].id, otherwise=drop)
        async with setup.dispatching():
            dead, delivered = await setup.settled(webhook, "dead", "delivered")
    assert (dead.attempts, dead.response_status, dead.next_at) == (4, None, None)
    assert dead.error is not None
    assert delivered.attempts == 1


# --- one endpoint and the others -------------------------------------------------------------------------------------
@pytest.mark.deep
async def test_endpoints_that_hang_hold_up_no_other(setup: WebhookSetup) -> None:
    """More of them than there are places, and with more events than they are ever rid of."""
    async with Receiver(answer=hang) as hanging, Receiver() as well:
        for _ in range(6):
            await setup.endpoint(hanging.url)
        webhook = await setup.endpoint(well.url)
        numbers = policy(
            endpoints=2, time_limit=timedelta(seconds=0.5), pauses=(timedelta(milliseconds=1),) * 1000
        )
        async with setup.dispatching(numbers=numbers):
            await setup.record(*(f"user-{number}" for number in range(10)))
            await setup.settled(webhook, *["delivered"] * 10)
            # By now all of those that hang are known to, and have places of their own.
            await hanging.wait_for(20)
            began = asyncio.get_running_loop().time()
            await setup.record(*(f"user-{number}" for number in range(10)))
            await setup.settled(webhook, *["delivered"] * 20)
            assert asyncio.get_running_loop().time() - began < 20


async def test_endpoint_that_fails_is_offered_one_event_at_a_time(setup: WebhookSetup) -> None:
    at_once = highest = 0

    async def count(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, highest
        at_once += 1
        highest = max(highest, at_once)
        await asyncio.sleep(0.05)
        at_once -= 1
        await status(500)(request, writer)

    async with Receiver(answer=count) as receiver:
        webhook = await setup.endpoint(receiver.url, failing_since=now())
        await setup.record(*(f"user-{number}" for number in range(6)))
        async with setup.dispatching():
            await setup.settled(webhook, *["dead"] * 6)
    assert highest == 1


async def test_one_success_makes_an_endpoint_well_again(setup: WebhookSetup) -> None:
    """Else it would be sent to one event at a time for ever, and be switched off after days of good answers."""
    async with Receiver() as receiver:
        webhook = await setup.endpoint(receiver.url, failing_since=now(), dead_since=now())
        async with setup.dispatching():
            await setup.record("ada")
            await setup.settled(webhook, "delivered")
    found = await setup.transactions.read(lambda tx: tx.webhooks.find_any(webhook.id))
    assert found is not None
    assert (found.failing_since, found.dead_since) == (None, None)


async def test_endpoint_gets_only_what_is_recorded_after_it_was_made(setup: WebhookSetup) -> None:
    async with Receiver() as receiver:
        await setup.record("ada")
        await setup.endpoint(receiver.url, enabled=False)
        webhook = await setup.endpoint(receiver.url)
        later = await setup.record("ada")
        async with setup.dispatching():
            await setup.settled(webhook, "delivered")
    assert receiver.ids == [later[0].id]


async def test_endpoint_that_is_on_again_gets_nothing_of_the_time_when_it_was_off(
    setup: WebhookSetup,
) -> None:
    async with Receiver() as receiver, Receiver() as other:
        webhook = await setup.endpoint(receiver.url, enabled=False)
        # For this one, events go through the outbox in the meantime.
        beside = await setup.endpoint(other.url)
        async with setup.dispatching():
            await setup.record("ada")
            await setup.settled(beside, "delivered")
            await setup.transactions.run(lambda tx: tx.webhooks.switch_on(webhook.id, now=now()))
            (later,) = await setup.record("bob")
            await setup.settled(beside, "delivered", "delivered")
            await receiver.wait_for(1)
            assert [line.event_id for line in await setup.log(webhook)] == [later.id]
    assert receiver.ids == [later.id]


@pytest.mark.parametrize("how", ["off", "deleted"])
async def test_endpoint_that_is_switched_off_or_deleted_gets_nothing_more(
    setup: WebhookSetup, how: str
) -> None:
    async with Receiver(answer=status(500)) as receiver, Receiver() as other:
        webhook = await setup.endpoint(receiver.url)
        beside = await setup.endpoint(other.url)
        async with setup.dispatching(numbers=policy(pauses=(timedelta(milliseconds=50),) * 1000)):
            await setup.record("ada")
            await receiver.wait_for(2)
            await end(setup, webhook, how)
            later = await setup.record("bob", "cleo")
            await setup.settled(beside, *["delivered"] * 3)
            assert not {event.id for event in later} & set(receiver.ids)


async def end(setup: WebhookSetup, webhook: Webhook, how: str) -> None:
    if how == "deleted":
        assert await setup.transactions.run(lambda tx: tx.webhooks.remove(webhook.id))
    else:
        await setup.transactions.run(lambda tx: tx.webhooks.update(replace(webhook, enabled=False)))


async def test_secret_that_cannot_be_read_is_a_failure_of_that_endpoint_alone(setup: WebhookSetup) -> None:
    async with Receiver() as receiver:
        broken = await setup.endpoint(receiver.url)
        webhook = await setup.endpoint(receiver.url)
        (secret,) = await setup.transactions.read(lambda tx: tx.webhooks.secrets_of(broken.id, now=now()))
        (other,) = await setup.transactions.read(lambda tx: tx.webhooks.secrets_of(webhook.id, now=now()))
        # Moved from another row: sealed for another place.
        await setup.transactions.run(
            lambda tx: tx.webhooks.reencrypt_secret(
                secret.id, old=secret.sealed_secret, new=other.sealed_secret
            )
        )
        await setup.record("ada")
        async with setup.dispatching():
            await setup.settled(webhook, "delivered")
            (line,) = await setup.settled(broken, "dead")
    assert line.error == "the secret cannot be read"
    assert len(receiver.requests) == 1


# --- several processes -----------------------------------------------------------------------------------------------
async def test_two_dispatchers_share_the_work_and_send_nothing_twice(setup: WebhookSetup) -> None:
    async with Receiver() as receiver:
        webhooks = [await setup.endpoint(f"{receiver.url}/{number}") for number in range(6)]
        async with setup.dispatching(), setup.dispatching():
            events = await setup.record(*[f"user-{number % 4}" for number in range(20)])
            for webhook in webhooks:
                await setup.settled(webhook, *["delivered"] * 20)
    assert Counter(receiver.ids) == {event.id: 6 for event in events}
    for number in range(6):
        for user in range(4):
            came = [
                each.id
                for each in receiver.requests
                if each.line.split()[1] == f"/hook/{number}" and each.event["subject"] == f"user-{user}"
            ]
            assert came == [event.id for event in events if event.user_id == f"user-{user}"]


@pytest.mark.each_database
async def test_events_are_spread_once_however_many_processes_spread_them(setup: WebhookSetup) -> None:
    webhook = await setup.endpoint("https://hooks.example.com/")
    await setup.record(*["ada"] * 50)

    async def spread() -> None:
        for _ in range(10):
            await setup.transactions.run(lambda tx: tx.webhook_deliveries.spread(limit=10, now=now()))

    await asyncio.gather(*(spread() for _ in range(4)))
    log = await setup.log(webhook)
    assert [each.sequence for each in log] == sorted({each.sequence for each in log})
    assert len(log) == 50


async def test_process_that_was_paused_undoes_nothing_that_another_did(setup: WebhookSetup) -> None:
    webhook = await setup.endpoint("https://hooks.example.com/")
    await setup.record("ada")
    await setup.transactions.run(lambda tx: tx.webhook_deliveries.spread(limit=10, now=now()))
    at, lease = now(), timedelta(seconds=20)

    async def claim(owner: str, *, later: timedelta = timedelta(0)) -> Sequence[str]:
        return await setup.transactions.run(
            lambda tx: tx.webhook_deliveries.claim_due(
                owner=owner, now=at + later, until=at + later + lease, failing=False, limit=5
            )
        )

    async def finish(owner: str, result: AttemptResult) -> None:
        await setup.transactions.run(
            lambda tx: tx.webhook_deliveries.finish_attempts(webhook.id, [result], owner=owner, now=now())
        )

    assert await claim("paused") == [webhook.id]
    assert await claim("other") == []
    assert await claim("other", later=lease) == [webhook.id]
    (line,) = await setup.log(webhook)
    failed = AttemptResult(delivery_id=line.id, status="dead", response_status=500, error="x", next_at=None)
    await finish("paused", failed)
    (line,) = await setup.log(webhook)
    assert (line.status, line.attempts) == ("pending", 0)
    # Nor does it give away a lease that it lost, or read under it.
    await setup.transactions.run(lambda tx: tx.webhook_deliveries.release(webhook.id, owner="paused"))
    assert await claim("third", later=lease) == []
    batch = await setup.transactions.read(
        lambda tx: tx.webhook_deliveries.next_deliveries(webhook.id, owner="paused", now=at + lease, limit=5)
    )
    assert batch is None
    # What it delivered all the same is delivered; the other's late failure does not take that back.
    done = AttemptResult(
        delivery_id=line.id, status="delivered", response_status=200, error=None, next_at=None
    )
    await finish("paused", done)
    await finish("other", failed)
    (line,) = await setup.log(webhook)
    assert (line.status, line.response_status, line.attempts) == ("delivered", 200, 1)


def start_process(url: str, owner: str, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.webhooks.dispatch_process", url, owner, *more]
    return subprocess.Popen(tethered(command, signal=signal.SIGKILL), cwd=ROOT)


async def test_process_killed_between_answer_and_note_sends_again_and_loses_nothing(
    setup: WebhookSetup,
) -> None:
    url = setup.auth.settings.storage_url
    async with Receiver() as receiver:
        webhook = await setup.endpoint(receiver.url)
        events = await setup.record("ada", "ada")
        dies = start_process(url, "dies", "1", "die")
        assert await asyncio.to_thread(dies.wait, 60) == -signal.SIGKILL
        assert receiver.ids == [events[0].id]
        # Its lease ends by itself.
        async with setup.dispatching(numbers=policy(time_limit=timedelta(seconds=1))):
            await setup.settled(webhook, "delivered", "delivered")
    assert receiver.ids == [events[0].id, events[0].id, events[1].id]


@pytest.mark.deep
@pytest.mark.each_database
async def test_kills_in_the_middle_of_the_work_lose_nothing_and_keep_the_order(setup: WebhookSetup) -> None:
    url = setup.auth.settings.storage_url

    async def slowly(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        await ok(request, writer)

    async with Receiver(answer=slowly) as receiver:
        webhook = await setup.endpoint(receiver.url)
        events = await setup.record(*[f"user-{number % 3}" for number in range(60)])
        for number in range(2):
            before = len(receiver.requests)
            process = start_process(url, f"killed-{number}", "1")
            await receiver.wait_for(before + 10, within=60)
            process.kill()
            await asyncio.to_thread(process.wait, 20)
        async with setup.dispatching(numbers=policy(time_limit=timedelta(seconds=1))):
            await setup.settled(webhook, *["delivered"] * 60)
    for user in range(3):
        expected = [event.id for event in events if event.user_id == f"user-{user}"]
        assert in_order(receiver, f"user-{user}") == expected


# --- again, and no more ----------------------------------------------------------------------------------------------
async def test_replay_sends_everything_of_a_time_in_order(setup: WebhookSetup) -> None:
    async with Receiver() as receiver:
        await setup.record("before")
        await asyncio.sleep(0.01)
        since = now()
        events = await setup.record(*["ada", "bob"] * 10)
        webhook = await setup.endpoint(receiver.url)
        await setup.transactions.run(lambda tx: tx.webhooks.replay_since(webhook.id, since))
        async with setup.dispatching(numbers=policy(batch=3)):
            await setup.settled(webhook, *["delivered"] * 20)
            # Once more, and both at once: each is sent again, in order.
            for _ in range(2):
                await setup.transactions.run(lambda tx: tx.webhooks.replay_since(webhook.id, since))
            await receiver.wait_for(40)
            await setup.settled(webhook, *["delivered"] * 20)
        later = await setup.transactions.read(
            lambda tx: tx.webhook_deliveries.work(now=now(), dead_before=now() - timedelta(days=5))
        )
        assert not later.replay
    for user in ("ada", "bob"):
        assert in_order(receiver, user) == [event.id for event in events if event.user_id == user]
    assert "before" not in {each.event["subject"] for each in receiver.requests}


async def test_replay_of_a_shorter_time_does_not_end_the_longer_one(setup: WebhookSetup) -> None:
    async with Receiver() as receiver:
        times = []
        for user in ("ada", "bob"):
            await asyncio.sleep(0.01)
            times.append(now())
            await setup.record(user)
        webhook = await setup.endpoint(receiver.url)
        for since in times:
            await setup.transactions.run(lambda tx, since=since: tx.webhooks.replay_since(webhook.id, since))  # type: ignore[misc]
        async with setup.dispatching():
            await receiver.wait_for(1)
            await setup.settled(webhook, "delivered", "delivered")


async def test_delivery_that_is_sent_again_has_all_its_attempts_again(setup: WebhookSetup) -> None:
    async with Receiver(answer=status(500)) as receiver:
        webhook = await setup.endpoint(receiver.url)
        await setup.record("ada")
        async with setup.dispatching():
            (line,) = await setup.settled(webhook, "dead")
            assert await setup.transactions.run(
                lambda tx: tx.webhooks.replay_delivery(webhook.id, line.id, now=now())
            )
            await receiver.wait_for(2 * line.attempts)
            (again,) = await setup.settled(webhook, "dead")
    assert again.attempts == line.attempts == 4


async def test_event_that_is_no_longer_kept_ends_its_delivery(setup: WebhookSetup) -> None:
    async with Receiver() as receiver:
        webhook = await setup.endpoint(receiver.url)
        await setup.record("ada", "ada")
        await setup.transactions.run(lambda tx: tx.webhook_deliveries.spread(limit=10, now=now()))
        await setup.transactions.run(lambda tx: tx.outbox.prune_events(before=now() + timedelta(days=1)))
        async with setup.dispatching():
            lines = await setup.settled(webhook, "dead", "dead")
        assert {line.error for line in lines} == {"the event is no longer kept"}
        assert receiver.requests == []
        again = await setup.transactions.run(
            lambda tx: tx.webhooks.replay_delivery(webhook.id, lines[0].id, now=now())
        )
        assert not again


async def test_log_forgets_what_is_old_and_keeps_a_hundred_tests(setup: WebhookSetup) -> None:
    webhook = await setup.endpoint("https://hooks.example.com/")
    for number in range(120):
        await setup.transactions.run(
            lambda tx, number=number: tx.webhooks.add_test(  # type: ignore[misc]
                webhook.id, event_id=f"test-{number}", now=now()
            )
        )
    log = await setup.log(webhook)
    assert [each.event_id for each in log] == [f"test-{number}" for number in range(20, 120)]
    before = now() - timedelta(days=30)
    assert await setup.transactions.run(lambda tx: tx.webhooks.prune_deliveries(before=before)) == 0
    later = now() + timedelta(seconds=1)
    assert await setup.transactions.run(lambda tx: tx.webhooks.prune_deliveries(before=later)) == 100
    assert await setup.log(webhook) == []


async def test_deployment_without_endpoints_writes_nothing(setup: WebhookSetup) -> None:
    await setup.record("ada")
    work = await setup.transactions.read(
        lambda tx: tx.webhook_deliveries.work(now=now(), dead_before=now() - timedelta(days=5))
    )
    assert work == WebhookWork(spread=False, replay=False, due=False, dead=False)


async def test_replay_of_an_organization_finds_its_events_among_many(setup: WebhookSetup) -> None:
    at, mine, other = now(), "01983d2e-7c1a-7000-8000-000000000001", "01983d2e-7c1a-7000-8000-000000000002"
    await setup.organization(mine)
    for number in range(60):
        organization = {3: mine, 4: other, 48: mine}.get(number)
        await setup.record(f"user-{number}", action=types.API_KEY_CREATED, organization_id=organization)
    async with Receiver() as receiver:
        webhook = await setup.endpoint(receiver.url, organization_id=mine)
        await setup.transactions.run(lambda tx: tx.webhooks.replay_since(webhook.id, at))
        async with setup.dispatching(numbers=policy(batch=1)):
            await setup.settled(webhook, "delivered", "delivered")
    assert [request.event["subject"] for request in receiver.requests] == ["user-3", "user-48"]
