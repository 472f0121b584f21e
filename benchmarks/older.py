"""An older commit of this repository, with an environment of its own, to be measured beside the one of today."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from benchmarks.peers import CACHE
from benchmarks.subjects import ROOT

_MINUTES = 15


@dataclass(frozen=True)
class Older:
    """
    A commit that can be served.

    Attributes:
        commit: Its short name.
        root: Its files; its Makefile put the environment into ``.venv`` below.
    """

    commit: str
    root: Path

    @property
    def python(self) -> Path:
        """Return the interpreter that has the commit and its locked packages."""
        return self.root / ".venv/bin/python"

    def migrate(self, env: dict[str, str]) -> None:
        """
        Make its tables.

        Raises:
            RuntimeError: It failed.
        """
        _run([str(self.python), "-m", "czo_auth", "migrate"], folder=self.root, env=env)


def older(name: str) -> Older:
    """
    Unpack a commit into ``.bench-cache`` and set it up, once.

    Args:
        name: Any name that git accepts for a commit.

    Raises:
        RuntimeError: There is no such commit, or its packages are not available.
    """
    commit = _run(
        ["git", "rev-parse", "--verify", "--quiet", "--short=12", f"{name}^{{commit}}"],
        what=f"no commit {name}",
    )
    root = CACHE / f"commit-{commit.decode().strip()}"
    done = root / ".venv/set-up"
    if not done.exists():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        # Not a git worktree: that would have to be registered in the repository, and removed again.
        archive = _run(["git", "archive", "--format=tar", commit.decode().strip()])
        with tarfile.open(fileobj=BytesIO(archive)) as files:
            files.extractall(root, filter="data")
        print(f"setting up {root.name}", flush=True)
        _run(["make", "setup", f"PYTHON={sys.executable}"], folder=root)
        done.touch()
    return Older(root.name.removeprefix("commit-"), root)


def _run(
    command: list[str], *, folder: Path = ROOT, env: dict[str, str] | None = None, what: str | None = None
) -> bytes:
    try:
        ran = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, timeout=_MINUTES * 60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"{command[0]}: {error}") from None
    if ran.returncode:
        said = ran.stderr.decode(errors="replace").strip()[-600:]
        raise RuntimeError(what or f"{' '.join(command[:3])}: {said}")
    return ran.stdout
