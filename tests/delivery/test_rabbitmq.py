"""The sink on a real RabbitMQ: confirmed before the outbox forgets, in order, and patient while nothing is taken."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from czo_auth.core.events.deliver import SinkUnavailable
from czo_auth.core.transaction import Transactions
from czo_auth.delivery.rabbitmq import RabbitMQ
from tests.core.events.relaying import record, running
from tests.delivery.brokers import SOURCE, eventually_delivers, eventually_unavailable, power_cut
from tests.support import rabbitmq
from tests.support.ports import free_port
from tests.support.rabbitmq import RabbitServer
from tests.support.records import an_event

pytestmark = pytest.mark.deep


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    if not rabbitmq.is_installed():
        pytest.skip("RabbitMQ is not installed here (Debian: rabbitmq-server)")
    with RabbitServer(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


@asynccontextmanager
async def queue_on(
    server: RabbitServer, exchange: str, key: str = "#", **arguments: Any
) -> AsyncIterator[Callable[[], Any]]:
    """Bind a queue; gives what reads all its messages."""
    connection = await aio_pika.connect(server.url)
    async with connection:
        channel = await connection.channel()
        declared = await channel.declare_exchange(exchange, aio_pika.ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue(f"{exchange}-queue", durable=True, arguments=arguments or None)
        await queue.bind(declared, key)

        async def read() -> list[Any]:
            found = []
            while (message := await queue.get(fail=False)) is not None:
                found.append(message)
                await message.ack()
            return found

        yield read


def a_rabbit_sink(server: RabbitServer, exchange: str) -> RabbitMQ:
    return RabbitMQ(server.url, exchange=exchange, source=SOURCE)


async def test_rabbitmq_gets_persistent_cloudevents(rabbit: RabbitServer) -> None:
    async with queue_on(rabbit, "plain") as read:
        sink = a_rabbit_sink(rabbit, "plain")
        await sink.deliver(an_event())
        await sink.close()
        (message,) = await read()
    assert message.routing_key == "auth.apikey.created"
    assert (message.message_id, message.content_type) == ("event-1", "application/cloudevents+json")
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert json.loads(message.body)["id"] == "event-1"


async def test_event_that_no_queue_takes_waits_for_one(
    transactions: Transactions, rabbit: RabbitServer, request: pytest.FixtureRequest
) -> None:
    exchange = "unbound-postgres" if "postgres" in request.node.name else "unbound-sqlite"
    sink = a_rabbit_sink(rabbit, exchange)
    with pytest.raises(SinkUnavailable, match="no queue takes"):
        await sink.deliver(an_event())
    async with running(transactions, sink):
        ids = await record(transactions, *[f"ada:{number}" for number in range(5)])
        await asyncio.sleep(0.3)
        async with queue_on(rabbit, exchange) as read:
            arrived: list[str] = []
            async with asyncio.timeout(60):
                while len(arrived) < 5:
                    arrived += [message.message_id for message in await read()]
                    await asyncio.sleep(0.05)
    await sink.close()
    assert arrived == ids


async def test_full_queue_makes_events_wait(rabbit: RabbitServer) -> None:
    limits = {"x-max-length": 1, "x-overflow": "reject-publish"}
    async with queue_on(rabbit, "full", **limits) as read:
        sink = a_rabbit_sink(rabbit, "full")
        refused = 0
        # The broker lets one more pass than it says.
        for number in range(1, 5):
            try:
                await sink.deliver(an_event(number))
            except SinkUnavailable:
                refused = number
                break
        assert refused
        await read()
        await sink.deliver(an_event(refused))
        await sink.close()
        assert [message.message_id for message in await read()] == [f"event-{refused}"]


@pytest.mark.deep
async def test_rabbitmq_that_ends_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    if not rabbitmq.is_installed():
        pytest.skip("RabbitMQ is not installed here (Debian: rabbitmq-server)")
    with RabbitServer(tmp_path) as server:
        sink = a_rabbit_sink(server, "restart")
        async with queue_on(server, "restart"):
            await sink.deliver(an_event(1))
        server.stop()
        with pytest.raises(SinkUnavailable):
            await sink.deliver(an_event(2))
        server.start()
        await eventually_delivers(sink, an_event(2))
        await sink.close()
        async with queue_on(server, "restart") as read:
            assert [message.message_id for message in await read()] == ["event-1", "event-2"]


async def test_broker_that_takes_an_event_and_never_confirms_it_gets_it_again(
    rabbit: RabbitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("czo_auth.delivery.rabbitmq.PUBLISH_SECONDS", 1.0)
    monkeypatch.setattr("czo_auth.delivery.rabbitmq.CONNECT_SECONDS", 1.0)
    async with queue_on(rabbit, "silent") as read:
        sink = a_rabbit_sink(rabbit, "silent")
        await eventually_delivers(sink, an_event(1))
        with rabbit.paused():
            for _ in range(2):
                with pytest.raises(SinkUnavailable, match="TimeoutError"):
                    await sink.deliver(an_event(2))
        await eventually_delivers(sink, an_event(2))
        await sink.close()
        arrived = [message.message_id for message in await read()]
    # What was sent before the pause may arrive as well: twice, and under one id.
    assert list(dict.fromkeys(arrived)) == ["event-1", "event-2"]


async def test_exchange_that_vanishes_under_an_open_connection_is_declared_again(
    rabbit: RabbitServer,
) -> None:
    sink = a_rabbit_sink(rabbit, "vanishes")
    async with queue_on(rabbit, "vanishes"):
        await sink.deliver(an_event(1))
    connection = await aio_pika.connect(rabbit.url)
    async with connection:
        await (await connection.channel()).exchange_delete("vanishes")
    with pytest.raises(SinkUnavailable):
        await sink.deliver(an_event(2))
    async with queue_on(rabbit, "vanishes") as read:
        await eventually_delivers(sink, an_event(2))
        assert [message.message_id for message in await read()] == ["event-1", "event-2"]
    await sink.close()


async def test_exchange_of_another_kind_makes_events_wait(rabbit: RabbitServer) -> None:
    connection = await aio_pika.connect(rabbit.url)
    async with connection:
        await (await connection.channel()).declare_exchange(
            "other", aio_pika.ExchangeType.FANOUT, durable=True
        )
    sink = a_rabbit_sink(rabbit, "other")
    with pytest.raises(SinkUnavailable, match="PreconditionFailed"):
        await sink.deliver(an_event())
    await sink.close()


@pytest.mark.deep
async def test_rabbitmq_that_is_full_refuses_what_is_too_large_or_comes_back_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not rabbitmq.is_installed():
        pytest.skip("RabbitMQ is not installed here (Debian: rabbitmq-server)")
    monkeypatch.setattr("czo_auth.delivery.rabbitmq.PUBLISH_SECONDS", 2.0)
    # It uses more memory than that, so that it blocks everybody who publishes, as on a full disk.
    with RabbitServer(tmp_path, settings=["vm_memory_high_watermark.absolute = 1MB"]) as server:
        sink = a_rabbit_sink(server, "states")
        async with queue_on(server, "states"):
            # The alarm goes off a moment after the start.
            await eventually_unavailable(sink, an_event(1), "TimeoutError")
        server.stop()
        server.settings = ["max_message_size = 4096"]
        server.start()
        await eventually_delivers(sink, an_event(2))
        with pytest.raises(Exception, match="larger than") as failure:
            await sink.deliver(an_event(3, text="x" * 5000))
        assert not isinstance(failure.value, SinkUnavailable)
        await eventually_delivers(sink, an_event(4))
        async with queue_on(server, "states") as read:
            assert [message.message_id for message in await read()][-2:] == ["event-2", "event-4"]
        server.stop()
        server.empty()
        server.settings = []
        server.start()
        # Its exchange is made again; what no queue takes yet waits.
        await eventually_unavailable(sink, an_event(5), "no queue takes")
        async with queue_on(server, "states") as read:
            await eventually_delivers(sink, an_event(5))
            await sink.close()
            assert [message.message_id for message in await read()] == ["event-5"]


@pytest.mark.deep
async def test_relay_killed_between_confirmation_and_note_sends_again_under_the_same_id(
    transactions: Transactions, migrated_url: str, rabbit: RabbitServer, request: pytest.FixtureRequest
) -> None:
    exchange = "cut-postgres" if "postgres" in request.node.name else "cut-sqlite"
    ids = await record(transactions, *[f"ada:{number}" for number in range(6)])
    async with queue_on(rabbit, exchange) as read:
        await power_cut(migrated_url, rabbit.url, exchange, after=3)
        sink = a_rabbit_sink(rabbit, exchange)
        arrived: list[str] = []
        async with running(transactions, sink), asyncio.timeout(60):
            while set(arrived) != set(ids):
                arrived += [message.message_id for message in await read()]
                await asyncio.sleep(0.05)
        await sink.close()
    assert list(dict.fromkeys(arrived)) == ids
    assert arrived.count(ids[2]) == 2


async def test_outage_of_rabbitmq_is_reported_without_the_address(caplog: pytest.LogCaptureFixture) -> None:
    sink = RabbitMQ(f"amqp://auth:wrong-secret@127.0.0.1:{free_port()}/", exchange="x", source=SOURCE)
    with caplog.at_level(logging.DEBUG), pytest.raises(SinkUnavailable) as outage:
        await sink.deliver(an_event())
    await sink.close()
    assert "wrong-secret" not in caplog.text + str(outage.value) + repr(sink)
