"""
S17, S18: what was taken away is refused by every process, for every request that begins after the answer.

Four processes on one database, with all memory on that is on by default. `make bench` runs the same for longer.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from tests.attacks.history import faults
from tests.attacks.removals import KINDS
from tests.attacks.revocation import Proof, prepare, prove, serving
from tests.attacks.triggers import disarm_triggers

EACH = 2
BOUND_SECONDS = 1.0
LONG_SECONDS = 60.0
"""How long memory on PostgreSQL lasts where nothing but a notification ends it during a test."""
HEARD_SECONDS = 2.0
"""How long a notification may take on a busy machine; usually a millisecond."""
END_LISTENERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'czo-auth' AND pid <> pg_backend_pid() AND datname = current_database()
  AND (query ILIKE 'LISTEN%' OR query = 'SELECT 1')
"""


def complete(proof: Proof) -> None:
    """Check that the load met what it was meant to meet."""
    assert proof.faults == []
    assert proof.changes == dict.fromkeys(KINDS, EACH)
    assert proof.after > 100, "too few requests came after a change"


@pytest.mark.deep
async def test_no_process_lets_in_what_was_taken_away(database_url: str, tmp_path: Path) -> None:
    changes = await prepare(database_url, EACH)
    async with serving(database_url, tmp_path) as port:
        proof = await prove(port, changes, seconds=1.5)
    complete(proof)
    assert proof.late == []
    assert faults(proof.history) == []


@pytest.mark.each_database
@pytest.mark.deep
async def test_memory_on_postgresql_keeps_its_bound_when_its_listeners_are_cut_off(
    postgres_url: str, tmp_path: Path
) -> None:
    changes = await prepare(postgres_url, EACH)
    cut = 0

    async def cut_off() -> None:
        nonlocal cut
        connection = await asyncpg.connect(postgres_url)
        try:
            while True:
                await asyncio.sleep(0.7)
                cut += len(await connection.fetch(END_LISTENERS))
        finally:
            await connection.close()

    async with serving(postgres_url, tmp_path, env={"CZO_AUTH_CACHE_SECONDS": str(BOUND_SECONDS)}) as port:
        cutting = asyncio.create_task(cut_off())
        proof = await prove(port, changes, seconds=3, bound=BOUND_SECONDS)
        cutting.cancel()
        await asyncio.gather(cutting, return_exceptions=True)
    complete(proof)
    assert cut > 0, "no listener was cut off"
    assert proof.late_at(1) < BOUND_SECONDS


@pytest.mark.deep
async def test_memory_on_postgresql_hears_of_every_kind_of_change(postgres_url: str, tmp_path: Path) -> None:
    """By notifications alone: the memory lasts much longer than the test."""
    changes = await prepare(postgres_url, EACH)
    async with serving(postgres_url, tmp_path, env={"CZO_AUTH_CACHE_SECONDS": str(LONG_SECONDS)}) as port:
        proof = await prove(port, changes, seconds=3, bound=HEARD_SECONDS)
    complete(proof)
    assert proof.late_at(1) < HEARD_SECONDS


@pytest.mark.deep
async def test_proof_finds_every_kind_of_change_that_no_trigger_reports(
    database_url: str, tmp_path: Path
) -> None:
    """What the proof would show if the triggers did nothing, so that finding nothing late means something."""
    changes = await prepare(database_url, 1)
    await disarm_triggers(database_url)
    async with serving(database_url, tmp_path, env={"CZO_AUTH_CACHE_SECONDS": str(LONG_SECONDS)}) as port:
        proof = await prove(port, changes, seconds=3, bound=HEARD_SECONDS)
    assert proof.faults == []
    assert set(proof.late_kinds) == set(KINDS)
    assert proof.late_at(1) > HEARD_SECONDS
    assert faults(proof.history) != []
