"""GraphQL with the oldest and the newest Strawberry that the extra allows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.registry import fetch
from tools.measure_extras import ROOT, project

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]

(BOUND,) = (
    need for need in project()["optional-dependencies"]["graphql"] if need.startswith("strawberry-graphql")
)


def oldest() -> str:
    match = re.search(r">=([0-9.]+)", BOUND)
    assert match is not None
    return f"strawberry-graphql=={match[1]}.*"


@pytest.mark.parametrize("wanted", [oldest(), BOUND], ids=["oldest", "newest"])
def test_graphql_works_with_the_strawberry_at_each_end_of_the_bound(wanted: str, tmp_path: Path) -> None:
    core = next(
        need for need in project()["optional-dependencies"]["graphql"] if need.startswith("graphql-core")
    )
    uv = str(Path(sys.executable).with_name("uv"))
    install = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(tmp_path)]
    fetch(install, packages=[wanted, core], seconds=300)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/graphql"]
    ran = subprocess.run(
        [*command, "-m", "not deep", "-k", "not postgres"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert "passed" in ran.stdout
