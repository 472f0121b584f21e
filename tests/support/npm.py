"""Packages from npm, kept outside the tree and fetched at first use."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.registry import fetch, kept_packages

INSTALL = ("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--legacy-peer-deps")
INSTALL_SECONDS = 180


def installed(
    packages: Mapping[str, str],
    *,
    command: Sequence[str] = INSTALL,
    seconds: float = INSTALL_SECONDS,
    with_scripts: bool = False,
) -> Path:
    """
    Give a folder whose ``node_modules`` holds *packages*; skips the test when there can be none.

    Args:
        packages: Versions by name.
        command: Installs the packages that are named after it.
        seconds: How long that may take.
        with_scripts: Run the packages' own scripts, which may compile something.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are needed to run JavaScript")
    wanted = [f"{name}@{version}" for name, version in packages.items()]
    scripts = [] if with_scripts else ["--ignore-scripts"]

    def make(folder: Path) -> None:
        (folder / "package.json").write_text('{"private": true, "type": "module"}\n')
        fetch([*command, *scripts], packages=wanted, seconds=seconds, cwd=folder)

    return kept_packages("npm-with-scripts" if with_scripts else "npm", wanted, make)
