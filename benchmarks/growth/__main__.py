"""
Measure the same work with few people and with many, on both databases, print how it grows, and write the figures to
benchmarks/results/growth.json.

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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.growth import fill, results, work
from czo_auth.storage.migrate import upgrade_blocking
from tests.support.postgres import PostgresServer

FEW, MANY, ROUNDS = 1_000, 100_000, 5
BYTES_A_USER = 12_000
"""What a user takes with ten sessions, ten audit records and all indexes; generous."""


def main(given: Sequence[str] | None = None) -> int:
    """
    Run it; the exit status does not depend on the figures.

    Args:
        given: The arguments; those of the command line if None.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--users", type=int, default=MANY)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--databases", default=",".join(results.DATABASES))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    arguments = parser.parse_args(given)
    databases = arguments.databases.split(",")
    if unknown := set(databases).difference(results.DATABASES):
        parser.error(f"no such database: {', '.join(sorted(unknown))}")
    if shutil.disk_usage(arguments.folder).free < 2 * arguments.users * BYTES_A_USER:
        parser.error(f"there is too little room in {arguments.folder} for {arguments.users} users")
    machine = report.machine()
    for database in databases:
        run = measured(
            database, arguments.users, rounds=arguments.rounds, folder=arguments.folder, machine=machine
        )
        results.store(run)
        print(f"\n{results.section(results.stored(), database)}")
    if arguments.write:
        results.write_page()
    return 0


def measured(
    database: str,
    users: int,
    *,
    rounds: int,
    folder: Path,
    machine: Mapping[str, Any],
    dead_keys: int = work.DEAD_KEYS,
) -> results.Run:
    """Measure one kind of database with few people and with *users*."""
    found: dict[int, Mapping[str, float]] = {}
    versions: dict[str, str] = {}
    for size in (FEW, users):
        with tempfile.TemporaryDirectory(prefix="czo-growth-", dir=folder) as place:
            if database == "sqlite":
                versions = results.versions(None)
                found[size] = _measured(
                    work.Filled(f"sqlite:///{place}/people.sqlite3", size, None), rounds, dead_keys
                )
                continue
            with PostgresServer(folder=folder) as postgres:
                versions = results.versions(postgres)
                url = postgres.url(postgres.create_database())
                found[size] = _measured(work.Filled(url, size, postgres), rounds, dead_keys)
    return results.Run(
        database=database,
        machine=machine,
        versions=versions,
        rounds=rounds,
        few_users=FEW,
        few=found[FEW],
        many_users=users,
        many=found[users],
    )


def _measured(base: work.Filled, rounds: int, dead_keys: int) -> Mapping[str, float]:
    begun = time.monotonic()
    upgrade_blocking(base.url)
    fill.fill(base.url, users=base.users)
    print(f"  {base.users:,} users: filled in {time.monotonic() - begun:.0f} s", flush=True)
    return asyncio.run(work.measure(base, rounds=rounds, dead_keys=dead_keys))


if __name__ == "__main__":
    sys.exit(main())
