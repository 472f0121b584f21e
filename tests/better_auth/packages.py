"""better-auth's packages from npm."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.npm import installed

API_KEY_VERSION = "1.7.5"
PASSKEY_VERSION = "1.7.6"
CLIENT_VERSIONS = ("1.7.25", "1.7.5")
SCRIPTS = Path(__file__).parent


def scripts_with_packages(version: str, directory: Path) -> Path:
    """
    Give a folder with the scripts and the packages they import; skips the test when there can be none.

    Args:
        version: Of ``better-auth``.
        directory: An empty folder of the test.
    """
    # The two plugins ask for different releases of a third package; the client needs neither.
    packages = {
        "better-auth": version,
        "@better-auth/api-key": API_KEY_VERSION,
        "@better-auth/passkey": PASSKEY_VERSION,
    }
    for script in SCRIPTS.glob("*.mjs"):
        shutil.copy(script, directory)
    (directory / "node_modules").symlink_to(installed(packages) / "node_modules")
    return directory
