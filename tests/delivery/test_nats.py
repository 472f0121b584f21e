"""The sink on a real NATS server: confirmed before the outbox forgets, in order, and patient while nothing is taken."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js.api import StreamConfig
from nats.js.errors import APIError

from czo_auth.core.events.deliver import SinkUnavailable
from czo_auth.core.transaction import Transactions
from czo_auth.delivery.nats import NatsJetStream
from tests.contract.acting import create_key
from tests.contract.databases import SqliteDatabases
from tests.contract.deployments import timed_deployment
from tests.core.events.relaying import record, running
from tests.delivery.brokers import SOURCE, eventually_delivers, power_cut
from tests.support.nats import PASSWORD, NatsServer
from tests.support.ports import free_port
from tests.support.records import an_event


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


@pytest.mark.deep
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


@pytest.mark.deep
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
