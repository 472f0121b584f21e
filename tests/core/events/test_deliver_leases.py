from __future__ import annotations

import asyncio
import json
import logging
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from czo_auth.core.errors import StorageUnavailable
from czo_auth.core.events.deliver import Relay, SinkUnavailable
from czo_auth.core.events.types import Event
from czo_auth.core.transaction import Transactions
from czo_auth.delivery.jsonlines import JsonLines
from czo_auth.storage import DEFAULT_TABLE_PREFIX, open_storage
from czo_auth.storage.migrate import upgrade
from czo_auth.storage.sqlite import SqliteStorage
from tests.core.events.relaying import (
    Clock,
    Notebook,
    claim,
    dead_letters,
    milliseconds,
    policy,
    record,
    running,
)
from tests.delivery.waiting import until
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.each_database

RELAY_PROCESS = Path(__file__).with_name("relay_process.py")


class Processes:
    """Relays in processes of their own, which all write to *file*."""

    def __init__(self, url: str, file: Path) -> None:
        self.url = url
        self.file = file
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, owner: str, *, lease: timedelta) -> subprocess.Popen[bytes]:
        seconds = str(lease.total_seconds())
        command = [
            sys.executable,
            "-W",
            "error",
            str(RELAY_PROCESS),
            self.url,
            owner,
            str(self.file),
            seconds,
        ]
        self.running[owner] = subprocess.Popen(command)
        return self.running[owner]

    def lines(self) -> list[tuple[str, str]]:
        """Give the owner and the event's id of each line so far."""
        written = self.file.read_bytes() if self.file.exists() else b""
        found = [json.loads(line) for line in written.splitlines(keepends=True) if line.endswith(b"\n")]
        return [(line["source"], line["id"]) for line in found]


@pytest.fixture
def processes(migrated_url: str, tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(migrated_url, tmp_path / "events.jsonl")
    yield processes
    for process in processes.running.values():
        if process.poll() is None:
            process.kill()
        process.wait()


# --- one at a time ---------------------------------------------------------------------------------------------------
async def test_only_one_of_two_processes_delivers(transactions: Transactions, processes: Processes) -> None:
    started = [processes.start(owner, lease=timedelta(seconds=30)) for owner in ("one", "two")]
    ids: list[str] = []
    for number in range(20):
        ids += await record(transactions, f"u:{number}")
        if number == 0:
            await until(processes.lines, within=60)
            # Until the other one has surely begun to ask for the lease.
            await asyncio.sleep(1)
    await until(lambda: len(processes.lines()) >= 20)
    for process in started:
        process.terminate()
        assert process.wait(60) == 0
    assert [event_id for _, event_id in processes.lines()] == ids
    assert len({owner for owner, _ in processes.lines()}) == 1


@pytest.mark.deep
async def test_another_process_takes_over_within_the_lease_after_a_kill(
    transactions: Transactions, processes: Processes
) -> None:
    lease = timedelta(seconds=2)
    victim = processes.start("victim", lease=lease)
    ids = await record(transactions, *(f"u{number % 3}:{number}" for number in range(10)))
    await until(processes.lines, within=60)
    victim.kill()
    victim.wait()
    killed_at = time.monotonic()
    ids += await record(transactions, *(f"u{number % 3}:{number}" for number in range(10, 20)))
    heir = JsonLines(processes.file, source="heir")
    numbers = policy(lease=lease, time_limit=lease / 2)
    async with running(transactions, heir, owner="heir", numbers=numbers):
        await until(lambda: {event_id for _, event_id in processes.lines()} == set(ids))
        taken_over_after = time.monotonic() - killed_at
    await heir.close()
    assert taken_over_after < lease.total_seconds() + 1
    # Some may come twice, but never one after a later one came for the first time.
    assert list(dict.fromkeys(event_id for _, event_id in processes.lines())) == ids


# A stopped process may hold the lock of SQLite's file, and nobody writes then.
@pytest.mark.parametrize("migrated_url", ["postgres"], indirect=True)
@pytest.mark.deep
async def test_paused_process_that_wakes_up_leaves_the_sink_to_its_heir(
    transactions: Transactions, processes: Processes
) -> None:
    """The kernel stops a process, as it does on a suspended machine, for longer than its lease lasts; three times."""
    relays = [processes.start(owner, lease=timedelta(seconds=1)) for owner in ("one", "two")]
    ids: list[str] = []

    async def more_arrive() -> None:
        ids.extend(await record(transactions, *(f"u{number % 3}:{number}" for number in range(10))))
        await until(lambda: {event_id for _, event_id in processes.lines()} == set(ids), within=30)

    await more_arrive()
    for _ in range(3):
        owner = processes.lines()[-1][0]
        before = len(processes.lines())
        processes.running[owner].send_signal(signal.SIGSTOP)
        # The other one takes over when the lease is over, and goes on while the first one sleeps.
        await more_arrive()
        assert {who for who, _ in processes.lines()[before:]} == {"one", "two"} - {owner}
        processes.running[owner].send_signal(signal.SIGCONT)
        await more_arrive()
    for process in relays:
        process.terminate()
        assert await asyncio.to_thread(process.wait, 10) == 0
    # What was in hand when a process was stopped may come twice; nothing comes first after a later one came.
    assert list(dict.fromkeys(event_id for _, event_id in processes.lines())) == ids


async def test_stopped_process_leaves_its_sinks_to_the_next_at_once(
    transactions: Transactions, processes: Processes
) -> None:
    process = processes.start("one", lease=timedelta(seconds=60))
    ids = await record(transactions, "u:1")
    await until(processes.lines, within=60)
    process.terminate()
    assert process.wait(60) == 0
    ids += await record(transactions, "u:2")
    heir = JsonLines(processes.file, source="heir")
    async with running(transactions, heir, owner="heir"):
        await until(lambda: len(processes.lines()) == 2, within=60)
    await heir.close()
    assert processes.lines() == [("one", ids[0]), ("heir", ids[1])]


@pytest.mark.deep
async def test_lease_is_renewed_while_a_batch_lasts_longer(transactions: Transactions) -> None:
    async def slowly(event: Event) -> None:
        await asyncio.sleep(0.12)

    busy, idle = Notebook(before=slowly), Notebook()
    ids = await record(transactions, *(f"u:{number}" for number in range(30)))
    short = policy(lease=milliseconds(3000), time_limit=milliseconds(1500))
    async with running(transactions, busy, owner="busy", numbers=short):
        await until(lambda: busy.got)
        async with running(transactions, idle, owner="idle", numbers=short):
            await until(lambda: len(busy.got) == 30)
            # And while there is nothing to do.
            await asyncio.sleep(0.5)
            ids += await record(transactions, "u:last")
            await until(lambda: len(busy.got) == 31)
    assert busy.ids == ids
    assert idle.got == []


async def test_relay_that_overslept_its_lease_leaves_the_sink_to_the_new_owner(
    transactions: Transactions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    go_on = asyncio.Event()

    async def sleep(event: Event) -> None:
        await go_on.wait()

    sleeper, heir = Notebook(before=sleep), Notebook()
    ids = await record(transactions, "u:1", "u:2", "u:3")
    async with running(transactions, sleeper, owner="sleeper"):
        await until(lambda: sleeper.offered)
        async with running(transactions, heir, owner="heir", now=Clock(ahead=timedelta(minutes=2))):
            await until(lambda: len(heir.got) == 3)
            go_on.set()
            await until(lambda: "took over" in caplog.text)
            ids += await record(transactions, "u:4")
            await until(lambda: len(heir.got) == 4)
    assert heir.ids == ids
    assert set(sleeper.ids) <= set(ids[:3])


async def test_relay_that_lost_its_lease_dead_letters_nothing(
    transactions: Transactions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    go_on = asyncio.Event()

    async def refuse(event: Event) -> None:
        if len(loser.offered) == 5:
            await go_on.wait()
        raise ValueError

    loser, heir = Notebook(before=refuse), Notebook()
    ids = await record(transactions, "u:1")
    async with running(transactions, loser, owner="loser"):
        await until(lambda: len(loser.offered) == 5)
        async with running(transactions, heir, owner="heir", now=Clock(ahead=timedelta(minutes=2))):
            await until(lambda: heir.got)
            go_on.set()
            await until(lambda: "took over" in caplog.text)
    assert heir.ids == ids
    assert await dead_letters(transactions) == []


async def test_lease_is_released_and_moved_by_its_owner_alone_and_never_back(
    transactions: Transactions,
) -> None:
    async def advance(owner: str, sequence: int) -> bool:
        return await transactions.run(
            lambda tx: tx.outbox.advance_sink("notebook", owner=owner, sequence=sequence)
        )

    assert await claim(transactions, "heir") == 0
    await transactions.run(lambda tx: tx.outbox.release_sink("notebook", owner="loser"))
    assert await claim(transactions, "third") is None
    assert not await advance("loser", 7)
    assert await advance("heir", 5)
    assert await advance("heir", 3)
    assert await claim(transactions, "heir") == 5


# --- the end ---------------------------------------------------------------------------------------------------------
async def test_stop_finishes_the_event_in_hand_and_gives_the_lease_back(transactions: Transactions) -> None:
    go_on = asyncio.Event()

    async def wait(event: Event) -> None:
        await go_on.wait()

    notebook = Notebook(before=wait)
    await record(transactions, "u:1", "u:2")
    relay = Relay(transactions, [notebook], owner="one", now=Clock(), policy=policy())
    task = asyncio.create_task(relay.run())
    await until(lambda: notebook.offered)
    relay.stop()
    await asyncio.sleep(0.05)
    assert not task.done()
    assert await claim(transactions, "two") is None
    go_on.set()
    await asyncio.wait_for(task, 60)
    assert await claim(transactions, "two") == notebook.got[0].sequence
    assert len(notebook.got) == 1


async def test_stop_does_not_wait_for_a_sink_that_is_down(transactions: Transactions) -> None:
    async def never(event: Event) -> None:
        raise SinkUnavailable

    notebook = Notebook(before=never)
    await record(transactions, "u:1")
    minute = timedelta(minutes=1)
    relay = Relay(
        transactions,
        [notebook],
        owner="one",
        now=Clock(),
        policy=policy(first_pause=minute, longest_pause=minute),
    )
    task = asyncio.create_task(relay.run())
    await until(lambda: notebook.offered)
    relay.stop()
    await asyncio.wait_for(task, 60)
    assert await claim(transactions, "two") == 0


async def test_relay_that_was_stopped_before_it_ran_ends_at_once(transactions: Transactions) -> None:
    relay = Relay(transactions, [Notebook()], owner="one", now=Clock())
    relay.stop()
    await asyncio.wait_for(relay.run(), 60)


async def test_cancelled_relay_gives_the_lease_back(transactions: Transactions) -> None:
    notebook = Notebook()
    relay = Relay(transactions, [notebook], owner="one", now=Clock(), policy=policy())
    task = asyncio.create_task(relay.run())
    await record(transactions, "u:1")
    await until(lambda: notebook.got)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await claim(transactions, "two") == notebook.got[0].sequence


# --- a database that is down -----------------------------------------------------------------------------------------
async def test_relay_resumes_when_the_database_is_back(
    postgres_server: PostgresServer, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await upgrade(postgres_url)
    storage = open_storage(postgres_url)
    notebook = Notebook()
    ids = await record(storage.transactions, "u:1")
    async with running(storage.transactions, notebook):
        await until(lambda: notebook.got)
        # Down for as long as that takes: a restart that nobody looked at in between is not an outage.
        with postgres_server.down():
            await until(lambda: "the database is unavailable, events for sink notebook wait" in caplog.text)
        ids += await recorded_at_last(storage.transactions, "u:2")
        await until(lambda: len(notebook.got) == 2)
    await storage.close()
    assert notebook.ids == ids


async def recorded_at_last(transactions: Transactions, mark: str) -> list[str]:
    """Record as soon as the database takes it."""
    async with asyncio.timeout(60):
        while True:
            with suppress(StorageUnavailable):
                return await record(transactions, mark)
            await asyncio.sleep(0.05)


async def test_event_whose_delivery_could_not_be_noted_is_not_delivered_again(sqlite_url: str) -> None:
    await upgrade(sqlite_url)
    storage = SqliteStorage(sqlite_url, table_prefix=DEFAULT_TABLE_PREFIX, timeout=0.1)
    # Reads go on while another program holds the right to write, as they do on a full disk.
    with closing(sqlite3.connect(storage.path, isolation_level=None)) as other:

        async def stop_writes(event: Event) -> None:
            if not other.in_transaction:
                other.execute("BEGIN IMMEDIATE")

        notebook = Notebook(before=stop_writes)
        ids = await record(storage.transactions, "u:1", "u:2", "u:3", "u:4", "u:5")
        async with running(storage.transactions, notebook, numbers=policy(batch_size=2)):
            await until(lambda: len(notebook.got) == 2)
            # Long enough for several tries to note it. No further batch goes out in the meantime: a crash would repeat
            # it.
            await asyncio.sleep(0.6)
            assert len(notebook.offered) == 2
            notebook.before = None
            other.execute("ROLLBACK")
            await until(lambda: len(notebook.got) == 5)
    assert notebook.offered == ids
    assert await claim(storage.transactions, "two") == notebook.got[-1].sequence
    await storage.close()


async def test_relay_continues_after_an_unknown_fault(
    transactions: Transactions, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    faults = 3

    def now() -> datetime:
        nonlocal faults
        faults -= 1
        if faults >= 0:
            raise OverflowError("the clock is broken")
        return clock()

    notebook = Notebook()
    ids = await record(transactions, "u:1")
    async with running(transactions, notebook, now=now):
        await until(lambda: notebook.got)
    assert notebook.ids == ids
    assert "the clock is broken" in caplog.text
