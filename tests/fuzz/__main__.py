"""
The long run: `make fuzz`. Prints what was tried, and writes it to `tests/fuzz/latest.json` and `docs/threats.md`.

A million inputs over the parsers by coverage, at least 20,000 generated requests to the real server, and the model for
as long as it gets. One part alone: `python -m tests.fuzz parsers`, `http` or `model`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from tests.fuzz.parsers import TARGETS
from tests.fuzz.report import rows, write_threats
from tests.support.postgres import PostgresServer

INPUTS = int(os.environ.get("FUZZ_INPUTS", "1000000"))
REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "20000"))
MODEL_SECONDS = int(os.environ.get("FUZZ_MODEL_SECONDS", "480"))
LATEST = Path("tests/fuzz/latest.json")
WALKS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("/api/auth/openapi.json", {"examples": 2, "phases": ("fuzzing",), "positive": True}, 10),
    ("/api/auth/openapi.json", {"examples": 20}, 15),
    ("/graphql", {"examples": 20}, 5),
)
"""What one caller walks each time, and for how many seconds: first what ought to be accepted, then everything."""
MAX_GROWTH = 1.25
"""By how much the server's memory may grow after the first round, which loads what is loaded late."""


def parsers() -> dict[str, Any]:
    """Feed every parser its share of the million."""
    whole = sum(target.share for target in TARGETS.values())
    rows = []
    for name, target in TARGETS.items():
        runs = -(-round(INPUTS * target.share) // round(whole * 100)) * 100 if INPUTS else 0
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.coverage_guided", name, str(runs)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{name}: a finding\n{done.stdout}\n{done.stderr}")
        row = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{name:20} {row['accepted']:8,} accepted {row['refused']:8,} refused {row['seconds']:6} s",
            flush=True,
        )
        rows.append(row)
    return {"inputs": sum(row["accepted"] + row["refused"] for row in rows), "findings": 0, "targets": rows}


def http() -> dict[str, Any]:
    """Walk the real server as each caller, on both databases, until there were enough requests."""
    from tests.fuzz.serving import Explored

    rows = []
    with PostgresServer() as postgres, tempfile.TemporaryDirectory() as folder:
        urls = {"sqlite": None, "postgresql": postgres.url(postgres.create_database())}
        for database, url in urls.items():
            with Explored(Path(folder) / database, url) as explored:
                rows.append(_walk_all(explored, database, limit=REQUESTS // 2))
    findings = [finding for row in rows for finding in row["findings"]]
    for finding in findings:
        print(f"FINDING {finding}", flush=True)
    return {
        "requests": sum(row["requests"] for row in rows),
        "server_errors": sum(row["statuses"].get("5xx", 0) for row in rows),
        "findings": len(findings),
        "servers": rows,
    }


def _walk_all(explored: Any, database: str, *, limit: int) -> dict[str, Any]:
    from tests.fuzz.explore import never_accepted, walk

    answers: dict[str, Counter[int]] = {}
    statuses: Counter[int] = Counter()
    operations: set[str] = set()
    findings: dict[str, str] = {}
    callers = explored.callers.all
    began, before = time.monotonic(), 0.0
    for seed in count(1):
        for caller, credential in callers.items():
            for path, how, seconds in WALKS if caller != "nobody" else WALKS[:2]:
                seen = walk(
                    explored.server.url,
                    path=path,
                    credential=credential,
                    seed=seed,
                    seconds=seconds,
                    known=partial(explored.callers.known.get, caller, {}),
                    **how,
                )
                for label, times in seen.answers.items():
                    answers.setdefault(label, Counter()).update(times)
                statuses += seen.statuses
                operations |= seen.operations
                findings |= seen.findings
            print(f"{database:12} {caller:16} {statuses.total():7,} requests", flush=True)
        # What grows after the first round would be a leak.
        before = before or explored.memory
        if statuses.total() >= limit and seed > 1:
            break
    refused = never_accepted(answers)
    print(
        f"{database}: {len(answers)} operations, of which {len(refused)} were only ever refused:", flush=True
    )
    print(*(f"  {each}" for each in refused), sep="\n", flush=True)
    after = explored.memory
    if after > before * MAX_GROWTH:
        grown = f"{database}: memory grew from {before:,} to {after:,} bytes"
        findings[grown] = grown
    return {
        "database": database,
        "requests": statuses.total(),
        "operations": len(operations),
        "only_refused": [each.split(":")[0] for each in refused],
        "statuses": _by_class(statuses),
        "memory_before_mib": round(before / 2**20, 1),
        "memory_after_mib": round(after / 2**20, 1),
        "seconds": round(time.monotonic() - began),
        "findings": list(findings),
    }


def _by_class(statuses: Counter[int]) -> dict[str, int]:
    classes = Counter({f"{status}xx": 0 for status in (2, 4, 5)})
    for status, times in statuses.items():
        classes[f"{status // 100}xx"] += times
    return dict(sorted(classes.items()))


def model() -> dict[str, Any]:
    """Hold the product against its model: with a clock on both databases, and the real server."""
    from tests.fuzz.long_model import run_for

    rows = run_for(MODEL_SECONDS)
    for row in rows:
        print(f"{row['place']:24} {row['steps']:7,} steps {row['answers']} {row['seconds']} s", flush=True)
    return {"steps": sum(row["steps"] for row in rows), "findings": 0, "places": rows}


PARTS = {"parsers": parsers, "http": http, "model": model}


def main() -> None:
    reader = argparse.ArgumentParser(prog="python -m tests.fuzz")
    reader.add_argument("parts", nargs="*", choices=[*PARTS, []], default=list(PARTS))
    reported: dict[str, Any] = {}
    for name in reader.parse_args().parts:
        print(f"== {name}", flush=True)
        found = PARTS[name]()
        reported = json.loads(LATEST.read_text()) if LATEST.exists() else {}
        reported[name] = found
        LATEST.write_text(json.dumps(reported, indent=1) + "\n")
    print("\n| tried | by | seen |\n| --- | --- | --- |", *rows(reported), sep="\n")
    write_threats(reported)
    if any(part["findings"] for part in reported.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
