"""The figures of ``make growth``: in benchmarks/results/growth.json, and as tables in docs/performance.md."""

from __future__ import annotations

import importlib.metadata
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks import report
from czo_auth.version import VERSION
from tests.support.postgres import PostgresServer

RESULTS = report.RESULTS.with_name("growth.json")
BEGIN, END = "<!-- growth: begin -->", "<!-- growth: end -->"
_HEADINGS: Final = {
    "sqlite": "SQLite, the median of {rounds}:",
    "postgresql": (
        "PostgreSQL, the median of {rounds}, after `VACUUM (ANALYZE)`, which autovacuum does in a deployment that "
        "grows:"
    ),
}
DATABASES: Final = tuple(_HEADINGS)
_LEAST_SECONDS: Final = 1e-4
"""Less is not measured precisely enough to divide by it."""


@dataclass(frozen=True)
class Run:
    """
    What was measured on one kind of database.

    Attributes:
        machine: See `report.machine`.
        few, many: CPU time of each operation, with so many users. Unit: seconds.
    """

    database: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    rounds: int
    few_users: int
    few: Mapping[str, float]
    many_users: int
    many: Mapping[str, float]

    def rows(self) -> list[dict[str, Any]]:
        """Return one line for each operation."""
        return [
            {
                "database": self.database,
                "operation": what,
                "few_users": self.few_users,
                "users": self.many_users,
                "few_ms": round(self.few[what] * 1000, 1),
                "ms": round(seconds * 1000, 1),
                "ratio": round(seconds / max(self.few[what], _LEAST_SECONDS), 2),
            }
            for what, seconds in self.many.items()
        ]


def versions(postgres: PostgresServer | None) -> dict[str, str]:
    """Return the versions of what is measured."""
    found = {"czo-auth": VERSION, "sqlalchemy": importlib.metadata.version("sqlalchemy")}
    if postgres is None:
        return found | {"SQLite": sqlite3.sqlite_version}
    version = postgres.execute("SHOW server_version").split()[0]
    return found | {"asyncpg": importlib.metadata.version("asyncpg"), "PostgreSQL": version}


def store(run: Run) -> None:
    """Write the figures of one database; those of the other one stay as they are."""
    document = stored()
    runs = document["runs"] | {
        run.database: {"machine": run.machine, "versions": run.versions, "rounds": run.rounds}
    }
    rows = [row for row in document["rows"] if row["database"] != run.database] + run.rows()
    rows.sort(key=lambda row: DATABASES.index(row["database"]))
    document = {"runs": {name: runs[name] for name in DATABASES if name in runs}, "rows": rows}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def stored() -> dict[str, Any]:
    """Return what is in the file of results: the runs by database, and the rows of all."""
    if not RESULTS.exists():
        return {"runs": {}, "rows": []}
    document: dict[str, Any] = json.loads(RESULTS.read_text())
    return document


def write_page() -> None:
    """Put all stored figures into docs/performance.md; the table of a database that has none stays as it is."""
    document = stored()
    parts = _parts_of_page(report.part(BEGIN, END))
    parts |= {database: section(document, database) for database in document["runs"]}
    report.replace_part(BEGIN, END, "\n\n".join(parts[name] for name in DATABASES if name in parts))


def section(document: Mapping[str, Any], database: str) -> str:
    """Return the stored table of one database with its heading, and what it was measured with."""
    run = document["runs"][database]
    rows = [row for row in document["rows"] if row["database"] == database]
    rounds = "1 round" if run["rounds"] == 1 else f"{run['rounds']} rounds"
    return "\n\n".join(
        [
            _HEADINGS[database].format(rounds=rounds),
            table(rows),
            report.measured_on(run["machine"], run["versions"]),
        ]
    )


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of one database's rows."""
    few, many = rows[0]["few_users"], rows[0]["users"]
    return "\n".join(
        [
            f"| operation | {few:,} users, ms | {many:,} users, ms | ratio |",
            "| --- | ---: | ---: | ---: |",
            *(
                f"| {row['operation']} | {row['few_ms']:.1f} | {row['ms']:.1f} | {row['ratio']:.2f} |"
                for row in rows
            ),
        ]
    )


def _parts_of_page(text: str) -> dict[str, str]:
    """Divide the tables on the page by their headings."""
    parts: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        for database, heading in _HEADINGS.items():
            if line.startswith(heading.partition("{")[0]):
                lines = parts.setdefault(database, [])
        lines.append(line)
    return {database: "\n".join(found).strip() for database, found in parts.items()}
