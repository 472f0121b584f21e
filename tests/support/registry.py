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
    Install *packages* by *command*; skips the test where they cannot be had, fails it where they exclude each other.

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
    if fetched.returncode == 0:
        return
    if _exclude_each_other(fetched.stderr):
        pytest.fail(f"{named} cannot be installed together: {fetched.stderr}")
    pytest.skip(f"no registry gave {named}: {textwrap.shorten(fetched.stderr, 300, placeholder=' …')}")


def _exclude_each_other(errors: str) -> bool:
    """Whether an installer refused our own versions: no registry is to blame for that."""
    is_absent = "was not found in the package registry" in errors or "there is no version of" in errors
    return "npm error code ERESOLVE" in errors or (
        "requirements are unsatisfiable" in errors and not is_absent
    )
