"""Results name the commit that was measured, and the load of the machine before."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report, revision
from benchmarks.measure import Row
from czo_auth.version import VERSION

WHERE: dict[str, Any] = {
    "system": "Linux x86_64",
    "cores": 2,
    "python": "3.11.7",
    "load": "wrk",
    "quick": False,
    "loadBefore": 0.3,
    "commit": "0afd699df22a",
    "changed": False,
}
ROW = Row(operation="hello", subject="raw ASGI hello", value=1, unit="x hello")


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "benchmarks/results").mkdir(parents=True)
    (root / "code.py").write_text("")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    return root


def test_commit_is_named_with_whether_the_tree_has_changes(tree: Path) -> None:
    clean = revision.of_tree(tree)
    assert len(clean["commit"] or "") == 12
    assert clean["changed"] is False
    (tree / "code.py").write_text("pass\n")
    assert revision.of_tree(tree) == {"commit": clean["commit"], "changed": True}


def test_file_that_no_commit_has_is_a_change(tree: Path) -> None:
    (tree / "more.py").write_text("")
    assert revision.of_tree(tree)["changed"] is True


def test_results_of_an_earlier_run_are_no_change(tree: Path) -> None:
    (tree / "benchmarks/results/latest.json").write_text("{}")
    assert revision.of_tree(tree)["changed"] is False


def test_tree_without_a_repository_of_its_own_has_no_commit(tree: Path, tmp_path: Path) -> None:
    nothing = {"commit": None, "changed": None}
    assert revision.of_tree(tree / "benchmarks") == nothing
    assert revision.of_tree(tmp_path) == nothing


def test_no_commit_is_named_where_git_is_missing(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tree))
    assert revision.of_tree(tree) == {"commit": None, "changed": None}


def test_load_is_that_of_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.26, 5.0, 9.0))
    assert report.machine()["loadBefore"] == 0.3


@pytest.mark.parametrize(
    ("measured", "shown"),
    [
        ({}, "czo-auth 0.1.0 (commit 0afd699df22a), granian 2.8.7."),
        ({"changed": True}, "czo-auth 0.1.0 (commit 0afd699df22a with uncommitted changes), granian 2.8.7."),
        ({"commit": None, "changed": None}, "czo-auth 0.1.0, granian 2.8.7."),
    ],
)
def test_line_below_a_table_shows_load_and_commit(measured: dict[str, Any], shown: str) -> None:
    line = report.measured_on(WHERE | measured, {"czo-auth": "0.1.0", "granian": "2.8.7"})
    before = "Linux x86_64, 2 cores, Python 3.11.7, load by wrk; load average of the minute before: 0.3. "
    assert line == before + shown


def test_part_that_is_measured_again_takes_the_place_of_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "performance.md"
    page.write_text("\n".join([report.BEGIN, report.END]) + "\n")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "CHART", tmp_path / "performance.svg")
    monkeypatch.setattr(report, "RESULTS", tmp_path / "latest.json")
    first, second, third = (
        Row(operation=name, subject="czo-auth", value=1, unit="x", target=1.5)
        for name in ("first", "second", "third")
    )
    report.write([first, second, third], WHERE)
    slower = Row(operation="second", subject="czo-auth", value=2, unit="x", target=1.5)
    added = Row(operation="of that", subject="czo-auth", value=1, unit="ms")
    report.write_again([slower, added], WHERE | {"commit": "35c82562abcd"}, "the second part")
    with pytest.raises(ValueError, match="'no such part' gave no rows"):
        report.write_again([], WHERE, "no such part")
    written = json.loads((tmp_path / "latest.json").read_text())
    assert [(row["operation"], row["value"], row["met"]) for row in written["rows"]] == [
        ("first", 1, True),
        ("second", 2, False),
        ("of that", 1, None),
        ("third", 1, True),
    ]
    assert written["machine"]["commit"] == WHERE["commit"]
    assert "Measured again, *the second part*: Linux x86_64" in page.read_text()
    assert "(commit 35c82562abcd)" in page.read_text()
    assert "no such part" not in page.read_text()


def test_both_results_files_have_commit_and_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "performance.md"
    page.write_text("\n".join([report.BEGIN, report.END, report.AGAINST_BEGIN, report.AGAINST_END]) + "\n")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "CHART", tmp_path / "performance.svg")
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results/latest.json")
    report.write([ROW], WHERE)
    report.write_against([ROW], WHERE, "35c82562abcd")
    for name in ("latest.json", "against-35c82562abcd.json"):
        written = json.loads((tmp_path / "results" / name).read_text())
        assert written["machine"] == WHERE
        assert written["versions"]["czo-auth"] == VERSION
    assert page.read_text().count(f"czo-auth {VERSION} (commit 0afd699df22a)") == 2
