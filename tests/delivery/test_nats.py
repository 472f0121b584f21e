"""Sinks on real brokers: confirmed before the outbox forgets, in order, and patient while nobody takes anything."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aio_pika
import nats
import pytest
from nats.js.api import StreamConfig
from nats.js.errors import APIError

from czo_auth.core.events.deliver import SinkUnavailable
from czo_auth.core.events.types import Event
from czo_auth.core.transaction import Transactions
from czo_auth.delivery.nats import NatsJetStream
from czo_auth.delivery.rabbitmq import RabbitMQ
from czo_auth.storage import open_storage
from tests.contract.acting import create_key
from tests.contract.databases import SqliteDatabases
from tests.contract.deployments import timed_deployment
from tests.core.events.relaying import record, running
from tests.support import rabbitmq
from tests.support.nats import PASSWORD, NatsServer
from tests.support.ports import free_port
from tests.support.rabbitmq import RabbitServer

SOURCE = "https://auth.example"


@pytest.fixture
async def transactions(migrated_url: str) -> AsyncIterator[Transactions]:
    storage = open_storage(migrated_url)
    yield storage.transactions
    await storage.close()


def an_event(number: int = 1, **data: object) -> Event:
    return Event(
        sequence=number,
        id=f"event-{number}",
        type="auth.apikey.created",
        user_id="ada",
        at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        data={"userId": "ada", **data},
    )


# --- NATS ------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


def a_nats_sink(server: NatsServer, stream: str) -> NatsJetStream:
    return NatsJetStream(server.url, stream=stream, subject=stream.lower(), source=SOURCE)


async def in_stream(server: NatsServer, stream: str) -> list[Any]:
    """Read all messages of a stream, oldest first."""
    client = await nats.connect(server.url)
    try:
        jetstream = client.jetstream()
        count = (await jetstream.stream_info(stream)).state.messages
        first = (await jetstream.stream_info(stream)).state.first_seq
        return [await jetstream.get_msg(stream, first + number) for number in range(count)]
    finally:
        await client.close()


async def wait_for_stream(server: NatsServer, stream: str, count: int) -> list[str]:
    """Wait until a stream holds *count* messages; gives the events' ids."""
    async with asyncio.timeout(60):
        while True:
            try:
                found = await in_stream(server, stream)
            except Exception:
                found = []
            if len(found) >= count:
                return [json.loads(message.data)["id"] for message in found]
            await asyncio.sleep(0.1)


async def test_nats_keeps_each_event_once_with_its_id(nats_server: NatsServer) -> None:
    sink = a_nats_sink(nats_server, "ONCE")
    for number in (1, 1, 2):
        await sink.deliver(an_event(number))
    await sink.close()
    first, second = await in_stream(nats_server, "ONCE")
    assert first.subject == "once.auth.apikey.created"
    assert first.headers["Nats-Msg-Id"] == "event-1"
    event = json.loads(first.data)
    assert (event["specversion"], event["id"], event["source"]) == ("1.0", "event-1", SOURCE)
    assert json.loads(second.data)["id"] == "event-2"


async def test_nats_gets_the_outbox_in_order_also_over_a_restart(
    transactions: Transactions, tmp_path: Path
) -> None:
    with NatsServer(tmp_path) as server:
        sink = a_nats_sink(server, "RESTART")
        async with running(transactions, sink):
            ids = await record(transactions, *[f"ada:{number}" for number in range(10)])
            await wait_for_stream(server, "RESTART", 10)
            server.stop()
            ids += await record(transactions, *[f"bob:{number}" for number in range(10)])
            await asyncio.sleep(0.2)
            server.start()
            arrived = await wait_for_stream(server, "RESTART", 20)
        await sink.close()
    assert arrived == ids


async def test_nats_that_comes_back_empty_gets_its_stream_again(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        sink = a_nats_sink(server, "EMPTY")
        await sink.deliver(an_event(1))
        server.stop()
        server.empty()
        server.start()
        await eventually_delivers(sink, an_event(2))
        await sink.close()
        (message,) = await in_stream(server, "EMPTY")
        assert json.loads(message.data)["id"] == "event-2"


async def test_stream_that_vanishes_under_an_open_connection_is_made_again(nats_server: NatsServer) -> None:
    sink = a_nats_sink(nats_server, "VANISHES")
    await sink.deliver(an_event(1))
    client = await nats.connect(nats_server.url)
    await client.jetstream().delete_stream("VANISHES")
    await client.close()
    with pytest.raises(SinkUnavailable, match="no stream takes"):
        await sink.deliver(an_event(2))
    await sink.deliver(an_event(2))
    await sink.close()


async def test_confirmation_of_another_stream_does_not_count(nats_server: NatsServer) -> None:
    sink = a_nats_sink(nats_server, "OURS")
    await sink.deliver(an_event(1))
    client = await nats.connect(nats_server.url)
    await client.jetstream().delete_stream("OURS")
    # Somebody else's, which takes the same subjects and may drop them at once.
    await client.jetstream().add_stream(StreamConfig(name="THEIRS", subjects=["ours.>"]))
    with pytest.raises(SinkUnavailable, match="refused"):
        await sink.deliver(an_event(2))
    assert (await client.jetstream().stream_info("THEIRS")).state.messages == 0
    await client.close()
    await sink.close()


async def test_full_stream_makes_events_wait(nats_server: NatsServer) -> None:
    client = await nats.connect(nats_server.url)
    full = StreamConfig(name="FULL", subjects=["full.>"], max_msgs=1, discard="new")  # type: ignore[arg-type]
    await client.jetstream().add_stream(full)
    sink = a_nats_sink(nats_server, "FULL")
    await sink.deliver(an_event(1))
    with pytest.raises(SinkUnavailable, match="refused"):
        await sink.deliver(an_event(2))
    await client.jetstream().purge_stream("FULL")
    await sink.deliver(an_event(2))
    await sink.close()
    await client.close()


async def test_event_that_is_too_large_for_nats_counts_against_itself(nats_server: NatsServer) -> None:
    sink = a_nats_sink(nats_server, "LARGE")
    with pytest.raises(Exception, match="maximum payload") as failure:
        await sink.deliver(an_event(1, text="x" * (2 << 20)))
    assert not isinstance(failure.value, SinkUnavailable)
    await sink.deliver(an_event(2))
    await sink.close()


async def test_event_that_is_too_large_for_the_stream_counts_against_itself(nats_server: NatsServer) -> None:
    client = await nats.connect(nats_server.url)
    await client.jetstream().add_stream(StreamConfig(name="SMALL", subjects=["small.>"], max_msg_size=1024))
    sink = a_nats_sink(nats_server, "SMALL")
    with pytest.raises(APIError, match="message size exceeds"):
        await sink.deliver(an_event(1, text="x" * 2000))
    await sink.deliver(an_event(2))
    await client.close()
    await sink.close()


@pytest.mark.parametrize("how", ["wrong password", "closed port", "no host"])
async def test_outage_of_nats_is_reported_without_the_address(
    nats_server: NatsServer, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    urls = {
        "wrong password": f"nats://auth:wrong-secret@127.0.0.1:{nats_server.port}",
        "closed port": f"nats://auth:wrong-secret@127.0.0.1:{free_port()}",
        "no host": "nats://auth:wrong-secret@no-such-host.invalid:4222",
    }
    sink = NatsJetStream(urls[how], stream="S", subject="s", source=SOURCE)
    with caplog.at_level(logging.DEBUG), pytest.raises(SinkUnavailable) as outage:
        await sink.deliver(an_event())
    await sink.close()
    said = caplog.text + str(outage.value) + repr(sink)
    assert "wrong-secret" not in said
    assert PASSWORD not in said


# --- RabbitMQ --------------------------------------------------------------------------------------------------------
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


async def power_cut(database_url: str, broker_url: str, name: str, *, after: int) -> None:
    """Relay in a process that ends between its broker's confirmation of an event and the note of it."""
    words = (database_url, broker_url, name, str(after))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.delivery.broker_process", *words, cwd=Path(__file__).parents[2]
    )
    async with asyncio.timeout(60):
        assert await process.wait() == -signal.SIGKILL


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


async def test_stream_keeps_what_a_killed_relay_sends_again_once(
    transactions: Transactions, migrated_url: str, nats_server: NatsServer, request: pytest.FixtureRequest
) -> None:
    stream = "CUT_POSTGRES" if "postgres" in request.node.name else "CUT_SQLITE"
    ids = await record(transactions, *[f"ada:{number}" for number in range(6)])
    await power_cut(migrated_url, nats_server.url, stream, after=3)
    sink = a_nats_sink(nats_server, stream)
    async with running(transactions, sink):
        arrived = await wait_for_stream(nats_server, stream, 6)
    await sink.close()
    assert arrived == ids


async def test_outage_of_rabbitmq_is_reported_without_the_address(caplog: pytest.LogCaptureFixture) -> None:
    sink = RabbitMQ(f"amqp://auth:wrong-secret@127.0.0.1:{free_port()}/", exchange="x", source=SOURCE)
    with caplog.at_level(logging.DEBUG), pytest.raises(SinkUnavailable) as outage:
        await sink.deliver(an_event())
    await sink.close()
    assert "wrong-secret" not in caplog.text + str(outage.value) + repr(sink)


async def eventually_delivers(sink: RabbitMQ | NatsJetStream, event: Event) -> None:
    """Offer an event as the relay does, until it is taken."""
    async with asyncio.timeout(60):
        while True:
            try:
                await sink.deliver(event)
            except SinkUnavailable:
                await asyncio.sleep(0.1)
            else:
                return


async def eventually_unavailable(sink: RabbitMQ, event: Event, why: str) -> None:
    """Offer an event until the sink cannot take it for the reason *why*."""
    async with asyncio.timeout(60):
        while True:
            try:
                await sink.deliver(event)
            except SinkUnavailable as outage:
                if why in str(outage):
                    return
            await asyncio.sleep(0.1)


# --- a deployment with brokers ---------------------------------------------------------------------------------------
async def test_broker_that_is_down_holds_up_nobody_and_gets_everything_later(
    sqlite_databases: SqliteDatabases, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = NatsServer(tmp_path)
    file = tmp_path / "events.jsonl"
    more = {
        "nats_url": broker.url,
        "rabbitmq_url": f"amqp://auth:{PASSWORD}@127.0.0.1:{free_port()}/",
        "events_file": file,
    }
    url = sqlite_databases.new()
    with caplog.at_level(logging.DEBUG):
        async with timed_deployment(url, sqlite_databases.prepared, **more) as here:
            _, session = await here.people.newcomer()
            await create_key(here.api, session)
            async with asyncio.timeout(30):
                while not file.exists() or "auth.apikey.created" not in file.read_text():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            expected = [json.loads(line)["id"] for line in file.read_text().splitlines()]
            with broker:
                arrived = await wait_for_stream(broker, "CZO_AUTH", len(expected))
    assert arrived == expected
    assert "sink rabbitmq is unavailable" in caplog.text
    assert PASSWORD not in caplog.text
