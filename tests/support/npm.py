"""Packages from npm, kept outside the tree and fetched at first use."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.registry import fetch, kept_packages

INSTALL_SECONDS = 180


def installed(packages: Mapping[str, str]) -> Path:
    """
    Give a folder whose ``node_modules`` holds *packages*; skips the test when there can be none.

    Args:
        packages: Exact versions by name.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are needed to run JavaScript")
    cache = kept_packages()
    wanted = [f"{name}@{version}" for name, version in packages.items()]
    kept = cache / "+".join(wanted).replace("/", "-").replace("@", "-").strip("-")
    if kept.exists():
        return kept
    with tempfile.TemporaryDirectory(dir=cache) as fresh:
        folder = Path(fresh) / "packages"
        folder.mkdir()
        (folder / "package.json").write_text('{"private": true, "type": "module"}\n')
        install = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
        fetch([*install, "--legacy-peer-deps"], packages=wanted, seconds=INSTALL_SECONDS, cwd=folder)
        # Renamed when complete: another test process may be doing the same.
        if not kept.exists():
            folder.rename(kept)
    return kept
