"""better-auth's packages from npm, kept outside the tree and fetched at first use."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

API_KEY_VERSION = "1.7.5"
PASSKEY_VERSION = "1.7.6"
CLIENT_VERSIONS = ("1.7.25", "1.7.5")
SCRIPTS = Path(__file__).parent
INSTALL_SECONDS = 180


def scripts_with_packages(version: str, directory: Path) -> Path:
    """
    Give a folder with the scripts and the packages they import; skips the test when there can be none.

    Args:
        version: Of ``better-auth``.
        directory: An empty folder of the test.
    """
    for script in SCRIPTS.glob("*.mjs"):
        shutil.copy(script, directory)
    (directory / "node_modules").symlink_to(_installed(version) / "node_modules")
    return directory


def _installed(version: str) -> Path:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are needed to run better-auth's client")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "czo-auth-tests"
    kept = cache / f"better-auth-{version}-api-key-{API_KEY_VERSION}-passkey-{PASSKEY_VERSION}"
    if kept.exists():
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as fresh:
        folder = Path(fresh) / "packages"
        folder.mkdir()
        (folder / "package.json").write_text('{"private": true, "type": "module"}\n')
        _fetch(folder, version)
        # Renamed when complete: another test process may be doing the same.
        if not kept.exists():
            folder.rename(kept)
    return kept


def _fetch(folder: Path, version: str) -> None:
    # The two packages ask for different releases of a third; the client needs neither.
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
    command += ["--legacy-peer-deps", f"better-auth@{version}", f"@better-auth/api-key@{API_KEY_VERSION}"]
    command += [f"@better-auth/passkey@{PASSKEY_VERSION}"]
    try:
        fetched = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("better-auth's packages are not to be had: npm took too long")
    if fetched.returncode != 0:
        pytest.skip(f"better-auth's packages are not to be had: {fetched.stderr.strip()[-300:]}")
