"""The figures of ``make growth`` are stored by database, and the page shows what is stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.growth import __main__ as growth
from benchmarks.growth import results
from benchmarks.growth.results import BEGIN, END, Run

MACHINE: Mapping[str, Any] = {
    "system": "Linux x86_64",
    "cores": 2,
    "python": "3.11.7",
    "load": None,
    "quick": False,
    "loadBefore": 0.3,
    "commit": "0afd699df22a",
    "changed": False,
}
SIGN_IN = "sign in with a password"
PAGE = f"""# Performance

Prose before.

{BEGIN}
SQLite, the median of 5 rounds:

| of before on SQLite |

PostgreSQL, the median of 5 rounds, after more:

| of before on PostgreSQL |
{END}

Prose after.
"""


@pytest.fixture(autouse=True)
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    there = tmp_path / "performance.md"
    there.write_text(PAGE)
    monkeypatch.setattr(report, "PAGE", there)
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results/growth.json")
    return there


def measured(database: str, *, seconds: float, users: int = 100_000) -> Run:
    few, many = {SIGN_IN: 0.02}, {SIGN_IN: seconds}
    return Run(database, MACHINE, {"czo-auth": "0.1.0"}, 5, 1_000, few, users, many)


def test_row_has_milliseconds_and_ratio() -> None:
    results.store(measured("sqlite", seconds=0.03))
    document = json.loads(results.RESULTS.read_text())
    assert document["rows"] == [
        {
            "database": "sqlite",
            "operation": SIGN_IN,
            "few_users": 1_000,
            "users": 100_000,
            "few_ms": 20.0,
            "ms": 30.0,
            "ratio": 1.5,
        }
    ]
    run = document["runs"]["sqlite"]
    assert run == {"machine": MACHINE, "versions": {"czo-auth": "0.1.0"}, "rounds": 5}


def test_run_of_one_database_leaves_the_rows_of_the_other_one() -> None:
    results.store(measured("postgresql", seconds=0.05))
    results.store(measured("sqlite", seconds=0.03))
    results.store(measured("sqlite", seconds=0.04, users=1_000_000))
    document = results.stored()
    assert [(row["database"], row["users"], row["ms"]) for row in document["rows"]] == [
        ("sqlite", 1_000_000, 40.0),
        ("postgresql", 100_000, 50.0),
    ]
    assert list(document["runs"]) == ["sqlite", "postgresql"]


@pytest.mark.parametrize(("database", "other"), [("sqlite", "PostgreSQL"), ("postgresql", "SQLite")])
def test_page_gets_the_table_of_one_database_and_keeps_that_of_the_other_one(
    page: Path, database: str, other: str
) -> None:
    results.store(measured(database, seconds=0.03))
    for _ in range(2):
        results.write_page()
        text = page.read_text()
        assert text.count(f"| of before on {other} |") == text.count("| of before on ") == 1
        assert text.count(f"| {SIGN_IN} | 20.0 | 30.0 | 1.50 |") == 1
        assert text.index("\nSQLite, the median") < text.index("\nPostgreSQL, the median")
        assert text.count("(commit 0afd699df22a)") == 1
        assert text.startswith(PAGE.partition(BEGIN)[0])
        assert text.endswith(PAGE.partition(END)[2])


def test_page_gets_the_figures_of_earlier_runs_too(page: Path) -> None:
    results.store(measured("postgresql", seconds=0.05))
    results.store(measured("sqlite", seconds=0.03))
    results.write_page()
    text = page.read_text()
    assert "| of before on " not in text
    assert all(results.section(results.stored(), database) in text for database in results.DATABASES)


@pytest.mark.parametrize("written", [True, False])
def test_figures_are_always_stored_and_shown_on_the_page_when_asked_for(
    page: Path, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    monkeypatch.setattr(growth, "measured", lambda database, users, **_: measured(database, seconds=0.03))
    assert growth.main(["--databases", "sqlite", *(["--write"] if written else [])]) == 0
    assert [row["database"] for row in results.stored()["rows"]] == ["sqlite"]
    assert (page.read_text() != PAGE) is written


def test_figures_of_one_database_are_kept_when_the_other_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(database: str, users: int, **_: object) -> Run:
        if database == "postgresql":
            raise RuntimeError("it does not start")
        return measured(database, seconds=0.03)

    monkeypatch.setattr(growth, "measured", measure)
    with pytest.raises(RuntimeError, match="does not start"):
        growth.main([])
    assert list(results.stored()["runs"]) == ["sqlite"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--databases", "sqlite,mysql"], "no such database: mysql"),
        (["--users", str(10**12)], "too little room"),
    ],
)
def test_run_that_cannot_succeed_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        growth.main(arguments)
    assert said in capsys.readouterr().err
    assert not results.RESULTS.exists()


def test_real_page_has_one_table_for_each_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    text = report.part(BEGIN, END)
    for name in ("SQLite", "PostgreSQL"):
        assert text.count(f"\n{name}, the median of ") == 1
    assert text.count(" users, ms | ratio |") == 2


def test_real_page_shows_the_figures_that_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    document, text = results.stored(), report.part(BEGIN, END)
    for database in document["runs"]:
        assert results.section(document, database) in text
