"""Packages of other projects: fetched from a registry at first use and kept outside the tree; without them, a skip."""

from __future__ import annotations

import os
import subprocess
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest


def kept_packages() -> Path:
    """Return the folder that keeps what was fetched, for the next run."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "czo-auth-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fetch(
    command: Sequence[str], *, packages: Sequence[str], seconds: float, cwd: Path | None = None
) -> None:
    """
    Install *packages* by *command*; skips the test where they cannot be had.

    The only place that skips for this reason, so that the summary of a run lists all of it under one line of this file.

    Args:
        command: The installer's, with its arguments.
        packages: What the reason names.
        seconds: How long the registry may take.
        cwd: Where to run it.
    """
    named = ", ".join(packages)
    try:
        fetched = subprocess.run(
            [*command, *packages], cwd=cwd, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"no registry gave {named}: it took longer than {seconds:g} s")
    if fetched.returncode != 0:
        pytest.skip(f"no registry gave {named}: {textwrap.shorten(fetched.stderr, 300, placeholder=' …')}")
