"""Run everything: ``python -m benchmarks [--quick]``. It only uses loopback, and ends everything that it started."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    against_rows,
    beside_rows,
    better_auth_people,
    breakdown,
    credentials_rows,
    enabling,
    hot_path_rows,
    many_keys_rows,
    passkey_rows,
    peers,
    people_rows,
    process_rows,
    report,
    revocation_rows,
    services_rows,
    waits,
)
from benchmarks.credentials_rows import Plan
from benchmarks.load import generator
from benchmarks.measure import Row
from benchmarks.older import Older, older
from tests.support.postgres import PostgresServer

FULL = Plan(rounds=5, seconds=2, sizes=(1_000, 10_000, 100_000, 1_000_000), with_peers=True)
QUICK = Plan(rounds=2, seconds=1, sizes=(1_000, 20_000), with_peers=False)


def main() -> int:
    """Measure, write the results, and print which targets were missed; the exit status does not depend on them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--base", help="only what is compared with this older commit, served beside today's")
    parser.add_argument("--quick", action="store_true", help="ours and the ceilings only, in two minutes")
    parser.add_argument("--only", help="one part, by its name in the output, in the place of its rows")
    parser.add_argument(
        "--profile", action="store_true", help="only where writes and key checks spend their time"
    )
    arguments = parser.parse_args()
    if arguments.profile or os.environ.get("PROFILE", "") not in ("", "0"):
        return breakdown.main(["--write"]) or waits.main(["--write"]) or enabling.main(["--write"])
    quick = arguments.quick or os.environ.get("QUICK", "") not in ("", "0")
    base = arguments.base or os.environ.get("BASE", "")
    where = report.machine(quick=quick, load=generator())
    begun = time.monotonic()
    if base:
        commit = older(base)
        rows = _compared(commit, quick=quick)
        report.write_against(rows, where, commit.commit)
    elif arguments.only:
        rows = _measured(quick=quick, only=arguments.only)
        report.write_again(rows, where, arguments.only)
    else:
        rows = _measured(quick=quick)
        report.write(rows, where)
    print(f"\n{time.monotonic() - begun:.0f} s; written to {report.RESULTS.parent} and docs/performance.md")
    for row in rows:
        if row.met is False:
            print(
                f"missed: {row.operation} ({row.database or '-'}): {row.value:.3g} {row.unit}, target {row.target:g}"
            )
    return 0


def _compared(base: Older, *, quick: bool) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="czo-bench-") as folder:
        return against_rows.rows(QUICK if quick else FULL, Path(folder), base)


def _people_of_better_auth(directory: Path) -> list[Row]:
    return better_auth_people.rows(directory, rounds=5, each=8)


def _measured(*, quick: bool, only: str | None = None) -> list[Row]:
    plan = QUICK if quick else FULL
    if plan.with_peers:
        peers.python()
        peers.node()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="czo-bench-") as folder, PostgresServer() as postgres:
        parts: list[tuple[str, Callable[[Path], list[Row]]]] = [
            ("API keys on SQLite", lambda at: credentials_rows.api_key_rows(plan, at, None)),
            ("API keys on PostgreSQL", lambda at: credentials_rows.api_key_rows(plan, at, postgres)),
            ("the hot path in a loop", lambda at: hot_path_rows.rows(at, rounds=3 if quick else 10)),
            ("writes beside SQLite", lambda at: beside_rows.write_rows(plan, at, None)),
            ("writes beside PostgreSQL", lambda at: beside_rows.write_rows(plan, at, postgres)),
            ("key checks beside work", lambda at: beside_rows.rows(at, rounds=1 if quick else 5)),
            ("owners with many keys", lambda at: many_keys_rows.rows(at, rounds=2 if quick else 5)),
            ("access tokens", lambda at: credentials_rows.token_rows(plan, at)),
            ("what services ask", lambda at: services_rows.rows(plan, at)),
            (
                "people",
                lambda at: people_rows.rows(at, rounds=2 if quick else 5, each=3 if quick else 8),
            ),
            (
                "passkeys",
                lambda at: passkey_rows.rows(at, rounds=2 if quick else 5, each=5 if quick else 20),
            ),
            *([] if quick else [("people of better-auth", _people_of_better_auth)]),
            ("starts", lambda _: process_rows.start_rows(rounds=2 if quick else 5)),
            ("imports", lambda _: process_rows.import_rows(rounds=2 if quick else 5)),
            ("memory at rest", process_rows.rest_rows),
            (
                "memory",
                lambda at: process_rows.memory_rows(
                    at, requests={1_000: 30_000} if quick else {1_000: 500_000, 1_000_000: 10_000_000}
                ),
            ),
            (
                "revocation",
                lambda at: revocation_rows.rows(
                    at, postgres, each=1 if quick else 5, seconds=1 if quick else 15
                ),
            ),
            *([] if quick else [("tests", lambda _: process_rows.test_rows())]),
        ]
        if only is not None:
            parts = [part for part in parts if part[0] == only]
        for number, (name, measure) in enumerate(parts):
            directory = Path(folder) / str(number)
            directory.mkdir()
            print(f"{name} (load {os.getloadavg()[0]:.1f})", flush=True)
            begun = time.monotonic()
            try:
                rows += measure(directory)
            except Exception:
                # A part that fails must not stop the others.
                print(f"{name} failed:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            shutil.rmtree(directory)
            print(f"  {time.monotonic() - begun:.0f} s", flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
