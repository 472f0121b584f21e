"""
Two machines that share nothing but PostgreSQL: two sets of processes, each with a pooler of its own, behind nginx.

The walk goes through all of them in turn; one is killed in the middle, PostgreSQL is restarted, and every event is in
every sink once or more, in order.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import aio_pika
import httpx
import nats
import pytest

from tests.contract.acting import eventually
from tests.contract.api import Api
from tests.contract.checks import accepted
from tests.contract.conftest import DRIFT
from tests.contract.database import sql
from tests.contract.outages import ENV
from tests.contract.people import Account, People
from tests.faults.books import losses_of
from tests.faults.kills import is_whole, still_counts
from tests.faults.users import Person, Users
from tests.faults.walk import BOUND_SECONDS, walk
from tests.support import rabbitmq
from tests.support.fleet import Fleet
from tests.support.nats import NatsServer
from tests.support.nginx import PROGRAM as NGINX
from tests.support.pgbouncer import PROGRAM as PGBOUNCER
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import PostgresServer
from tests.support.rabbitmq import RabbitServer
from tests.support.receiver import Receiver

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(900),
    pytest.mark.skipif(NGINX is None or PGBOUNCER is None, reason="nginx or PgBouncer is not installed"),
]
ON_EACH = 2
EXCHANGE, QUEUE = "czo-auth.events", "everything"


@dataclass
class Machines:
    """What the two machines share, and what each has alone."""

    postgres: PostgresServer
    url: str
    poolers: list[PgBouncer]
    nats: NatsServer
    rabbit: RabbitServer | None
    """None where RabbitMQ is not installed; the others then have to do."""

    @property
    def ways(self) -> list[str]:
        """The address of the database for each process, through the pooler of its machine."""
        name = self.url.rpartition("/")[2]
        return [pooler.url(name) for pooler in self.poolers for _ in range(ON_EACH)]


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    for broker in ("nats", "rabbitmq"):
        (tmp_path / broker).mkdir()
    with ExitStack() as stack:
        # A server of its own: it is restarted.
        postgres = stack.enter_context(PostgresServer())
        url = postgres.url(postgres.create_database())
        poolers = [stack.enter_context(PgBouncer(postgres)) for _ in range(2)]
        rabbit = None
        if rabbitmq.is_installed():
            rabbit = stack.enter_context(RabbitServer(tmp_path / "rabbitmq"))
        else:
            print("RabbitMQ is not installed here (Debian: rabbitmq-server): it takes no part")
        yield Machines(postgres, url, poolers, stack.enter_context(NatsServer(tmp_path / "nats")), rabbit)


async def test_every_step_works_on_all_machines_and_every_event_arrives_everywhere(
    machines: Machines, tmp_path: Path
) -> None:
    env = ENV | {
        "CZO_AUTH_DATABASE_DIRECT_URL": machines.url,
        "CZO_AUTH_CACHE_SECONDS": str(BOUND_SECONDS),
        "CZO_AUTH_NATS_URL": machines.nats.url,
        "CZO_AUTH_WEBHOOK_ALLOWED_HOSTS": "127.0.0.1",
        "CZO_AUTH_API_KEY_LIMIT": "100000",
    }
    if machines.rabbit is not None:
        env["CZO_AUTH_RABBITMQ_URL"] = machines.rabbit.url
        await bind_queue(machines.rabbit)
    file = tmp_path / "events.jsonl"
    async with Receiver() as receiver, Fleet(tmp_path, database_urls=machines.ways, env=env) as fleet:
        # The file is the first machine's alone.
        for server in fleet.servers[:ON_EACH]:
            await fleet.restart(server, CZO_AUTH_EVENTS_FILE=str(file))
        async with fleet.client() as http:
            people = People(Api(http), lambda: datetime.now(UTC), drift=DRIFT)
            administrator = await an_administrator(people, fleet.servers[0].env)
            begun = await an_endpoint(people, administrator, receiver, machines.url)
            users = Users(people, [])
            users.known = [Person(*await people.enrolled()) for _ in range(2)]
            await users.act(a_killed_process(fleet, people, administrator))
            await users.act_through(a_restarted_database(fleet, machines, users))
            await users.try_again()
            await walk(people, administrator, nothing)
            await still_counts(users)
            assert (users.memory.wrong, await losses_of(machines.url, users.memory)) == ([], [])
        recorded = await sql(machines.url, "SELECT id, user_id, sequence FROM {}events ORDER BY sequence")
        every = [event for event, _, _ in recorded]
        await all_have(every, lambda: in_file(file))
        await all_have(every, lambda: in_stream(machines.nats))
        if machines.rabbit is not None:
            queued: list[str] = []
            rabbit = machines.rabbit
            await all_have(every, lambda: in_queue(rabbit, queued))
        hooked = [(event, user) for event, user, sequence in recorded if sequence > begun]

        async def hook_has_all() -> bool:
            return set(receiver.ids) >= {event for event, _ in hooked}

        await eventually(hook_has_all, within=90, every=0.2)
        assert in_order_per_user(receiver.ids, hooked)
        print(f"{len(every)} events; {len(receiver.ids)} deliveries of {len(hooked)} to the endpoint")


# --- what happens to the machines ---
async def nothing(step: int) -> None:
    """Between the steps of a walk in peace."""


async def a_killed_process(fleet: Fleet, people: People, administrator: Account) -> None:
    """Walk twice: in the middle of the second one a process dies; later it is started again."""
    await walk(people, administrator, nothing)
    victim = fleet.servers[1]

    async def kill(step: int) -> None:
        if step == 4:
            victim.kill()
            # Its workers may still be dying, and take a connection with them.
            await eventually(lambda: is_closed(victim.port), within=10)

    await walk(people, administrator, kill)
    await fleet.start(victim)


async def is_closed(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def a_restarted_database(fleet: Fleet, machines: Machines, users: Users) -> None:
    before = users.memory.answered
    machines.postgres.restart()

    async def all_are_ready() -> bool:
        async with httpx.AsyncClient() as http:
            answers = [await http.get(f"{server.url}/readyz", timeout=30) for server in fleet.servers]
        return all(answer.status_code == 200 for answer in answers)

    await eventually(all_are_ready, within=60, every=0.2)

    async def more_is_done() -> bool:
        return users.memory.answered >= before + 10

    await eventually(more_is_done, within=60)


async def an_administrator(people: People, env: dict[str, str]) -> Account:
    account = Account(email=f"root-{uuid4().hex}@example.com")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "czo_auth", "users", "create", "--email", account.email, "--name", "Root"),
        *("--actor-type", "admin", "--password-stdin"),
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    await process.communicate(f"{account.password}\n".encode())
    assert process.returncode == 0
    await people.enroll(account, await people.sign_in(account, "admin"))
    return account


async def an_endpoint(people: People, administrator: Account, receiver: Receiver, url: str) -> int:
    """Let an administrator add the receiver; gives the sequence of the last event before."""
    session = await people.sign_in(administrator, "admin")
    body = {"url": receiver.url, "events": ["*"]}
    accepted(await people.api.post("/admin/webhooks", body, bearer=session.token), 201)
    ((begun,),) = await sql(url, "SELECT max(sequence) FROM {}events")
    return int(begun)


# --- what has arrived ---
async def in_file(path: Path) -> list[str]:
    lines = await asyncio.to_thread(path.read_text)
    return [json.loads(line)["id"] for line in lines.splitlines() if is_whole(line)]


async def in_stream(server: NatsServer) -> list[str]:
    client = await nats.connect(server.url)
    try:
        jetstream = client.jetstream()
        state = (await jetstream.stream_info("CZO_AUTH")).state
        found = [await jetstream.get_msg("CZO_AUTH", state.first_seq + at) for at in range(state.messages)]
        return [json.loads(message.data or b"")["id"] for message in found]
    finally:
        await client.close()


async def bind_queue(server: RabbitServer) -> None:
    connection = await aio_pika.connect(server.url)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
        await (await channel.declare_queue(QUEUE, durable=True)).bind(exchange, "#")


async def in_queue(server: RabbitServer, before: list[str]) -> list[str]:
    """Take what waits in the queue; gives it after what was taken *before*, which grows by it."""
    connection = await aio_pika.connect(server.url)
    async with connection:
        queue = await (await connection.channel()).get_queue(QUEUE)
        while (message := await queue.get(fail=False)) is not None:
            before.append(str(message.message_id))
            await message.ack()
    return list(before)


async def all_have(every: list[str], arrived: Callable[[], Awaitable[list[str]]]) -> None:
    """Wait until each event came, and look at the order in which they came first."""

    async def all_came() -> bool:
        return set(await arrived()) >= set(every)

    # A process that died may have held the sink, for as long as its lease lasts.
    await eventually(all_came, within=90, every=0.5)
    assert list(dict.fromkeys(await arrived())) == every


def in_order_per_user(ids: list[str], recorded: list[tuple[str, str]]) -> bool:
    """Say whether the first deliveries of each user's events came in the order of the events."""
    place = {event: number for number, event in enumerate(dict.fromkeys(ids))}
    last: dict[str, int] = {}
    for event, user in recorded:
        if place[event] < last.get(user, -1):
            return False
        last[user] = place[event]
    return True
