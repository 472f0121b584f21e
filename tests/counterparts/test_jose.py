"""jose, the JavaScript library, unchanged: verifies exchanged tokens by the keys that are published."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.counterparts.conftest import SERVICE, Issuer
from tests.support.npm import installed

pytestmark = pytest.mark.deep

JOSE_VERSION = "6.2.18"


@pytest.fixture
def verify(issuer: Issuer, tmp_path: Path) -> Any:
    (tmp_path / "node_modules").symlink_to(installed({"jose": JOSE_VERSION}) / "node_modules")
    script = Path(shutil.copy(Path(__file__).parent / "verify.mjs", tmp_path))

    def run(token: str, *, audience: str = SERVICE) -> Any:
        known = [issuer.metadata["jwks_uri"], issuer.metadata["issuer"], audience]
        done = subprocess.run(
            ["node", script.name, token, *known],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_exchanged_token_is_verified_by_what_is_published(issuer: Issuer, verify: Any) -> None:
    key = issuer.key("orders:read")
    said = verify(issuer.exchange(key["key"], audience=SERVICE))
    assert said["header"]["typ"] == "at+jwt"
    assert said["payload"]["aud"] == SERVICE
    assert (said["payload"]["client_id"], said["payload"]["sub"]) == (key["id"], issuer.user_id)
    assert said["payload"]["scope"] == "orders:read"
    assert not {"sid", "act"} & set(said["payload"])


def test_token_for_somebody_else_and_forged_one_are_refused(issuer: Issuer, verify: Any) -> None:
    token = issuer.exchange(issuer.key("orders:read")["key"], audience=SERVICE)
    assert (
        verify(token, audience="https://elsewhere.example.com")["error"] == "ERR_JWT_CLAIM_VALIDATION_FAILED"
    )
    head, body, signature = token.split(".")
    forged = verify(f"{head}.{body}.{signature[::-1]}")
    assert forged["error"] == "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"
