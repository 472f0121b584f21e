"""A deployment of the command line's own: a data folder, and nobody in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.inside import Inside
from tests.cli.shell import Shell


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a key and empty tables: making them takes longer than most commands."""
    folder = tmp_path_factory.mktemp("migrated") / "data"
    Shell(folder).run("migrate")
    return folder


@pytest.fixture
def shell(migrated: Path, tmp_path: Path) -> Shell:
    shutil.copytree(migrated, tmp_path / "data")
    return Shell(tmp_path / "data")


@pytest.fixture
def fresh(tmp_path: Path) -> Shell:
    """Nothing is there yet, not even the folder."""
    return Shell(tmp_path / "data")


@pytest.fixture
def inside(shell: Shell) -> Inside:
    return Inside(shell.data)
