"""The machine for minutes: in process on both databases, and against the real server."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contract.databases import PostgresDatabases, SqliteDatabases
from tests.contract.deployments import prepare
from tests.fuzz.model.acting import Place
from tests.fuzz.model.machine import Machine
from tests.fuzz.model.places import InProcess, RealServer
from tests.support.postgres import PostgresServer

STEPS = 60


def run_for(seconds: int) -> list[dict[str, Any]]:
    """Run everywhere, *seconds* in all."""
    with PostgresServer() as server, tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template.sqlite3"
        sqlite = SqliteDatabases(asyncio.run(prepare(f"sqlite:///{template}")), template, Path(folder))
        made: list[Any] = []
        name = server.template("model", lambda url: made.append(asyncio.run(prepare(url))))
        postgresql = PostgresDatabases(made[0], name, server)
        places: dict[str, Place] = {
            "in process, SQLite": InProcess(sqlite),
            "in process, PostgreSQL": InProcess(postgresql),
            "real server, SQLite": RealServer(sqlite, Path(folder)),
        }
        shares = {"in process, SQLite": 0.4, "in process, PostgreSQL": 0.4, "real server, SQLite": 0.2}
        return [_run(name, place, seconds=seconds * shares[name]) for name, place in places.items()]


def _run(name: str, where: Place, *, seconds: float) -> dict[str, Any]:
    class CurrentRequest(Machine):
        place = where
        answers: Counter[int] = Counter()  # noqa: RUF012 - counted over all runs

    began = time.monotonic()
    runs = 0
    while time.monotonic() - began < seconds:
        run_state_machine_as_test(
            CurrentRequest,
            settings=settings(
                max_examples=3,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                derandomize=False,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
        runs += 3
    return {
        "place": name,
        "runs": runs,
        "steps": CurrentRequest.steps,
        "requests": CurrentRequest.answers.total(),
        "answers": {str(status): times for status, times in sorted(CurrentRequest.answers.items())},
        "seconds": round(time.monotonic() - began),
    }
