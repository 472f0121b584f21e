"""Packages from npm, kept outside the tree and fetched at first use."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

INSTALL_SECONDS = 180


def installed(packages: Mapping[str, str]) -> Path:
    """
    Give a folder whose ``node_modules`` holds *packages*; skips the test when there can be none.

    Args:
        packages: Exact versions by name.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are needed to run JavaScript")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "czo-auth-tests"
    wanted = [f"{name}@{version}" for name, version in packages.items()]
    kept = cache / "+".join(wanted).replace("/", "-").replace("@", "-").strip("-")
    if kept.exists():
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as fresh:
        folder = Path(fresh) / "packages"
        folder.mkdir()
        (folder / "package.json").write_text('{"private": true, "type": "module"}\n')
        _fetch(folder, wanted)
        # Renamed when complete: another test process may be doing the same.
        if not kept.exists():
            folder.rename(kept)
    return kept


def _fetch(folder: Path, wanted: list[str]) -> None:
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
    command += ["--legacy-peer-deps", *wanted]
    try:
        fetched = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{wanted[0]} is not to be had: npm took too long")
    if fetched.returncode != 0:
        pytest.skip(f"{wanted[0]} is not to be had: {fetched.stderr.strip()[-300:]}")
