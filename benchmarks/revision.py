"""The commit that is measured."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TypedDict

WRITTEN = (
    "benchmarks/results",
    "docs/performance.md",
    "docs/performance.svg",
    "docs/scaling.md",
)
"""What benchmarks write: changed by an earlier run, it does not make another product."""
_SECONDS = 30


class Revision(TypedDict):
    """
    A state of the source tree.

    Attributes:
        commit: Its short hash; None without git.
        changed: Whether files differ from the commit, or are not in it; None without git.
    """

    commit: str | None
    changed: bool | None


def of_tree(root: Path) -> Revision:
    """Read the commit of the tree at *root*, and whether the tree has changes."""
    try:
        # An unpacked archive has no commit of its own, although a folder above it may be a repository.
        if _git(root, "rev-parse", "--show-prefix"):
            return Revision(commit=None, changed=None)
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        changes = _git(root, "status", "--porcelain", "--", ".", *(f":(exclude){name}" for name in WRITTEN))
    except (OSError, subprocess.SubprocessError):
        return Revision(commit=None, changed=None)
    return Revision(commit=commit, changed=bool(changes))


def _git(root: Path, *arguments: str) -> str:
    ran = subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, text=True, timeout=_SECONDS, check=True
    )
    return ran.stdout.strip()
