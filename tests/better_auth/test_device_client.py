"""better-auth's device authorization client from npm, unchanged, against this server (RFC 8628)."""

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
        done = subprocess.run(
            ["node", "device.mjs", f"{server.url}/api/auth"],
            cwd=scripts,
            capture_output=True,
            text=True,
            timeout=STORY_SECONDS,
            check=False,
        )
    finally:
        server.stop()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    reported = [json.loads(line) for line in done.stdout.splitlines()]
    return {step["name"]: step for step in reported}


@pytest.mark.parametrize("version", CLIENT_VERSIONS)
def test_client_asks_waits_and_gets_a_key_that_somebody_approved(steps: dict[str, dict[str, Any]]) -> None:
    refusals = {name: (step["status"], step["error"]) for name, step in steps.items() if step.get("error")}
    assert refusals.pop("nobody approves")[0] == 401
    assert refusals == {
        "pending": (400, "authorization_pending"),
        "too soon": (400, "slow_down"),
        "denied": (400, "access_denied"),
    }
    codes = steps["code"]["data"]
    assert codes["verification_uri_complete"].endswith(codes["user_code"])
    assert steps["look"]["data"]["status"] == "pending"
    assert steps["approve"]["data"] == {"success": True}
    key = steps["key"]["data"]
    assert (key["token_type"], key["scope"]) == ("Bearer", "orders:read")
    assert key["access_token"].startswith("czo_")
    assert steps["whoami"]["status"] == 200
    assert steps["whoami"]["data"]["kind"] == "api_key"
    assert steps["deny"]["data"] == {"success": True}
