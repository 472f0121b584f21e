"""better-auth's passkey client from npm, unchanged, against this server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.better_auth.packages import CLIENT_VERSIONS, scripts_with_packages
from tests.support.server import RunningServer

pytestmark = pytest.mark.deep

STORY_SECONDS = 120


@pytest.fixture
def steps(tmp_path: Path, version: str) -> dict[str, dict[str, Any]]:
    """What the client reported, by name of the step."""
    scripts = scripts_with_packages(version, tmp_path)
    server = RunningServer(tmp_path / "server", env={"CZO_AUTH_RATE_LIMIT_ENABLED": "false"})
    server.start()
    try:
        # Passkeys belong to a name, and not to an address.
        base = f"http://localhost:{server.port}/api/auth"
        done = subprocess.run(
            ["node", "passkeys.mjs", base],
            cwd=scripts,
            capture_output=True,
            text=True,
            timeout=STORY_SECONDS,
            check=False,
        )
    finally:
        server.stop()
    assert done.returncode == 0, done.stderr
    reported = [json.loads(line) for line in done.stdout.splitlines()]
    return {step["name"]: step for step in reported}


@pytest.mark.parametrize("version", CLIENT_VERSIONS)
def test_client_adds_lists_renames_signs_in_and_deletes(steps: dict[str, dict[str, Any]]) -> None:
    refusals = {name: (step["status"], step["code"]) for name, step in steps.items() if step["code"]}
    assert refusals.pop("add again")[1] == "ERROR_AUTHENTICATOR_PREVIOUSLY_REGISTERED"
    assert refusals.pop("sign in without") == (401, "AUTHENTICATION_FAILED")
    assert refusals == {}
    added = steps["add"]["data"]
    assert (added["name"], added["deviceType"], added["transports"]) == ("Laptop", "singleDevice", "internal")
    assert "backupCodes" not in added, "this client shows no codes, so it must lock nobody out"
    assert [one["id"] for one in steps["list"]["data"]] == [added["id"]]
    assert steps["rename"]["data"]["passkey"]["name"] == "Work laptop"
    assert steps["sign in"]["data"]["session"]["aal"] == 2
    assert steps["session"]["data"]["user"]["id"] == added["userId"]
    assert steps["list after"]["data"][0]["lastUsedAt"] is not None
    assert steps["password still signs in"]["data"]["user"]["twoFactorEnabled"] is False
    assert steps["delete"]["data"] == {"status": True}
    assert steps["list empty"]["data"] == []
