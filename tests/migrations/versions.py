"""Other versions of the program beside this one: the next, made from this one, and earlier ones out of git."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Final

import pytest

from czo_auth.storage.migrations import OLDEST_COMPATIBLE

ROOT: Final = Path(__file__).parents[2]
NEXT: Final = "9001"

MIGRATION: Final = '''\
"""What the next version adds."""

import sqlalchemy as sa
from alembic import context, op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    op.add_column(f"{{prefix}}users", sa.Column("nickname", sa.Text()))
    op.create_table(f"{{prefix}}nicknames", sa.Column("name", sa.Text(), primary_key=True))
    op.create_index(f"{{prefix}}users_nickname_ix", f"{{prefix}}users", ["nickname"])
'''


def next_version(directory: Path, *, oldest: str = OLDEST_COMPATIBLE) -> str:
    """
    Make a version after this one, which adds a column, a table and an index; returns its ``PYTHONPATH``.

    Args:
        oldest: The revision of the oldest program that may run on its tables.
    """
    source = directory / "next"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    migrations = source / "czo_auth/storage/migrations"
    declared = (migrations / "__init__.py").read_text()
    head = re.search(r'^HEAD: Final = "([0-9]+)"', declared, re.MULTILINE)
    assert head is not None
    declared = re.sub(r'^(HEAD: Final = )".*"', rf'\1"{NEXT}"', declared, flags=re.MULTILINE)
    declared = re.sub(r'^(OLDEST_COMPATIBLE: Final = )".*"', rf'\1"{oldest}"', declared, flags=re.MULTILINE)
    (migrations / "__init__.py").write_text(declared)
    (migrations / f"versions/r{NEXT}_next.py").write_text(MIGRATION.format(revision=NEXT, before=head[1]))
    return str(source)


def earlier_version(commit: str, directory: Path) -> str:
    """Take the version of *commit* out of git; returns its ``PYTHONPATH``. Skips the test where it is not to be had."""
    archived = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit, "src"], capture_output=True, check=False
    )
    if archived.returncode != 0:
        pytest.skip(f"the repository has no commit {commit}: a shallow clone, or no clone")
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
        archive.extractall(directory / commit, filter="data")
    return str(directory / commit / "src")
