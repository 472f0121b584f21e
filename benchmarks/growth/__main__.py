"""
Measure the same work with few people and with many, on both databases, and print how it grows.

The default, 100,000 people, takes a few minutes; 1,000,000 with their ten million sessions and audit records take about
10 GB of disk for SQLite and 12 GB for PostgreSQL, and half an hour.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.growth import fill, work
from czo_auth.storage.migrate import upgrade_blocking
from tests.support.postgres import PostgresServer

FEW, MANY, ROUNDS = 1_000, 100_000, 5
BYTES_A_USER = 12_000
"""What a user takes with ten sessions, ten audit records and all indexes; generous."""


def main() -> int:
    """Run it; the exit status does not depend on the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--users", type=int, default=MANY)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    if shutil.disk_usage(arguments.folder).free < 2 * arguments.users * BYTES_A_USER:
        parser.error(f"there is too little room in {arguments.folder} for {arguments.users} users")
    for database in arguments.databases.split(","):
        found = measured(database, arguments.users, rounds=arguments.rounds, folder=arguments.folder)
        print(f"\n{database}\n{table(found, arguments.users)}")
    return 0


def measured(
    database: str, users: int, *, rounds: int, folder: Path, dead_keys: int = work.DEAD_KEYS
) -> dict[int, Mapping[str, float]]:
    """Measure one kind of database with few people and with *users*; returns seconds of CPU time."""
    found: dict[int, Mapping[str, float]] = {}
    for size in (FEW, users):
        with tempfile.TemporaryDirectory(prefix="czo-growth-", dir=folder) as place:
            if database == "sqlite":
                found[size] = _measured(
                    work.Filled(f"sqlite:///{place}/people.sqlite3", size, None), rounds, dead_keys
                )
                continue
            with PostgresServer(folder=folder) as postgres:
                url = postgres.url(postgres.create_database())
                found[size] = _measured(work.Filled(url, size, postgres), rounds, dead_keys)
    return found


def _measured(base: work.Filled, rounds: int, dead_keys: int) -> Mapping[str, float]:
    begun = time.monotonic()
    upgrade_blocking(base.url)
    fill.fill(base.url, users=base.users)
    print(f"  {base.users:,} users: filled in {time.monotonic() - begun:.0f} s", flush=True)
    return asyncio.run(work.measure(base, rounds=rounds, dead_keys=dead_keys))


def table(found: Mapping[int, Mapping[str, float]], users: int) -> str:
    """Write the table of one database."""
    few, many = found[FEW], found[users]
    lines = [
        f"| operation | {FEW:,} users, ms | {users:,} users, ms | ratio |",
        "| --- | ---: | ---: | ---: |",
    ]
    for what, seconds in many.items():
        lines.append(
            f"| {what} | {few[what] * 1000:.1f} | {seconds * 1000:.1f} | {seconds / max(few[what], 1e-4):.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
