"""The test of tests/attacks/test_revocation_everywhere.py at a larger scale."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import asyncpg

from benchmarks.measure import OURS, Row
from tests.attacks.revocation import Proof, prepare, prove, serving
from tests.attacks.test_revocation_everywhere import BOUND_SECONDS, END_LISTENERS
from tests.support.postgres import PostgresServer

_CUT_EVERY_SECONDS = 2.0


def rows(directory: Path, postgres: PostgresServer, *, each: int, seconds: float) -> list[Row]:
    """Run it on both databases with default settings, and on PostgreSQL with the bounded cache."""
    found = []
    for database in ("sqlite", "postgresql"):
        url = _url(database, directory, postgres)
        proof = asyncio.run(_proof(url, directory, each=each, seconds=seconds))
        found.append(
            _row("late requests after a revocation, four processes", database, proof, len(proof.late), 0)
        )
    url = _url("postgresql", directory, postgres)
    proof = asyncio.run(_proof(url, directory, each=each, seconds=seconds, bound=BOUND_SECONDS))
    what = f"bounded memory ({BOUND_SECONDS:g} s), listeners cut off:"
    found.append(
        _row(f"{what} p99 of late requests", "postgresql", proof, proof.late_at(0.99), BOUND_SECONDS)
    )
    found.append(_row(f"{what} latest request", "postgresql", proof, proof.late_at(1), BOUND_SECONDS))
    return found


def _url(database: str, directory: Path, postgres: PostgresServer) -> str:
    if database == "sqlite":
        return f"sqlite:///{directory / 'revocation.sqlite3'}"
    return postgres.url(postgres.create_database())


async def _proof(url: str, directory: Path, *, each: int, seconds: float, bound: float = 0.0) -> Proof:
    changes = await prepare(url, each)
    env = {"CZO_AUTH_CACHE_SECONDS": str(bound)} if bound else {}
    async with serving(url, directory, env=env) as port:
        cutting = asyncio.create_task(_cut_off(url)) if bound else None
        proof = await prove(port, changes, seconds=seconds, bound=bound)
        if cutting is not None:
            cutting.cancel()
            with suppress(asyncio.CancelledError):
                await cutting
    if proof.faults:
        raise RuntimeError(f"the proof met faults: {proof.faults[:5]}")
    return proof


async def _cut_off(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        while True:
            await asyncio.sleep(_CUT_EVERY_SECONDS)
            await connection.fetch(END_LISTENERS)
    finally:
        await connection.close()


def _row(operation: str, database: str, proof: Proof, value: float, target: float) -> Row:
    return Row(
        operation=operation,
        subject=OURS,
        database=database,
        value=value,
        unit="requests" if target == 0 else "s",
        target=target,
        note=f"{sum(proof.changes.values())} changes, {proof.after} of {proof.requests} requests came after one",
    )
