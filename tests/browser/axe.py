"""axe-core from npm, kept outside the tree and fetched at first use."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

VERSION = "4.14.1"
FETCH_SECONDS = 120
IDS = "() => [...document.querySelectorAll('[id]')].map(each => each.id).filter((id, at, all) => all.indexOf(id) < at)"
RUN = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"


@cache
def axe_source() -> str:
    """Give the script; skips the test when it is not to be had."""
    cache_folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "czo-auth-tests"
    kept = cache_folder / f"axe-core-{VERSION}.min.js"
    if not kept.exists():
        cache_folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_folder) as fresh:
            # Renamed when complete: another test process may be doing the same.
            _fetched(Path(fresh)).rename(kept)
    return kept.read_text("utf-8")


def _fetched(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is needed to fetch axe-core")
    command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
    (folder / "package.json").write_text('{"private": true}\n')
    try:
        done = subprocess.run(
            [*command, f"axe-core@{VERSION}"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip("axe-core is not to be had: npm took too long")
    if done.returncode != 0:
        pytest.skip(f"axe-core is not to be had: {done.stderr.strip()[-300:]}")
    return folder / "node_modules" / "axe-core" / "axe.min.js"
