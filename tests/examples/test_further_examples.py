"""The examples that are no plain host: four processes on PostgreSQL, and Django beside its own users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.examples.hosts import PATIENCE_SECONDS, ROOT, HostProcess

ACCOUNT = {"name": "Bo", "email": "bo@shop.example", "password": "a long enough phrase"}
pytestmark = pytest.mark.deep


def ask(method: str, url: str, **more: Any) -> httpx.Response:
    """Send a request on a connection of its own."""
    return httpx.request(method, url, timeout=PATIENCE_SECONDS, **more)


@pytest.mark.parametrize("folder", ["fastapi_postgresql", "django_users"])
def test_readme_begins_with_the_one_command(folder: str) -> None:
    second_paragraph = (ROOT / "examples" / folder / "README.md").read_text("utf-8").split("\n\n")[1]
    assert second_paragraph.endswith(f"python -m examples.{folder}")


def test_key_that_is_revoked_in_one_process_is_refused_in_all_four(postgres_url: str, tmp_path: Path) -> None:
    host = HostProcess(
        ["-m", "examples.fastapi_postgresql"], tmp_path, env={"CZO_AUTH_DATABASE_URL": postgres_url}
    )
    host.start()
    try:
        signed_up = ask(
            "POST", f"{host.url}/api/auth/sign-up/email", json=ACCOUNT, headers={"origin": host.url}
        )
        session = {"authorization": f"Bearer {signed_up.headers['set-auth-token']}"}
        created = ask(
            "POST",
            f"{host.url}/api/auth/api-keys",
            json={"name": "orders", "scopes": ["orders:read"]},
            headers=session,
        ).json()["apiKey"]
        key = {"authorization": f"Bearer {created['key']}"}
        seen: dict[int, int] = {}
        for _ in range(400):
            # A connection each, so that the system spreads them over the processes.
            answer = ask("GET", f"{host.url}/orders", headers=key)
            assert answer.status_code == 200, answer.text
            seen[answer.json()["process"]] = seen.get(answer.json()["process"], 0) + 1
            if len(seen) == 4:
                break
        assert len(seen) == 4, seen
        assert (
            ask("DELETE", f"{host.url}/api/auth/api-keys/{created['id']}", headers=session).status_code == 204
        )
        assert {ask("GET", f"{host.url}/orders", headers=key).status_code for _ in range(60)} == {401}
    finally:
        host.kill()


def test_every_account_has_a_django_user_of_its_own(tmp_path: Path) -> None:
    host = HostProcess(["-m", "examples.django_users"], tmp_path)
    host.start()
    try:
        assert ask("GET", f"{host.url}/profile").status_code == 401
        profiles = []
        for name in ("bo", "cy"):
            account = ACCOUNT | {"email": f"{name}@shop.example"}
            signed_up = ask(
                "POST", f"{host.url}/api/auth/sign-up/email", json=account, headers={"origin": host.url}
            )
            bearer = {"authorization": f"Bearer {signed_up.headers['set-auth-token']}"}
            for _ in range(2):
                profile = ask("GET", f"{host.url}/profile", headers=bearer).json()
                assert profile["accountId"] == signed_up.json()["user"]["id"]
            profiles.append(profile["djangoId"])
        assert len(set(profiles)) == 2
    finally:
        host.kill()
