"""The wheel in an empty environment, with each extra by itself: it imports what it should, and serves."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tools.measure_extras import build_wheel, every_choice, measure

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PYTHONS = [
    each.removeprefix("Programming Language :: Python :: ")
    for each in PROJECT["classifiers"]
    if each.startswith("Programming Language :: Python :: 3.")
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def interpreter(version: str) -> str | None:
    """Find an interpreter on the path, or among pyenv's."""
    uv = Path(sys.executable).with_name("uv")
    found = subprocess.run(
        [str(uv), "python", "find", "--offline", version], capture_output=True, text=True, check=False
    )
    if found.returncode == 0:
        return found.stdout.strip()
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return next((str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python"))), None)


@pytest.mark.parametrize("extra", every_choice(), ids=lambda extra: extra or "none")
def test_wheel_with_one_extra_imports_and_serves(extra: str, wheel: Path, tmp_path: Path) -> None:
    measured = measure(wheel, extra, tmp_path)
    assert measured.modules > 300
    if not extra:
        # Twelve that are named, and what these need themselves.
        assert measured.packages <= 30


@pytest.mark.parametrize("version", PYTHONS)
def test_wheel_with_everything_serves_on_every_python_that_is_claimed(
    version: str, wheel: Path, tmp_path: Path
) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed here")
    assert measure(wheel, "all", tmp_path, python=python).modules > 400
