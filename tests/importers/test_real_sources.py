"""Moves from databases that the real packages make in this test; their passkeys sign here as they did there."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.cli.shell import Shell
from tests.importers.moving import import_from, moved
from tests.importers.sources import SOURCES, Made, real
from tests.support.authenticator import Json

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]


async def enter_with_passkey(http: httpx.AsyncClient, made: Made) -> Json:
    """Sign in with the browser's passkey alone."""
    assert made.browser is not None
    options = (await http.get("/api/auth/passkey/generate-authenticate-options")).json()
    response = made.browser.get(options)
    answer = await http.post(
        "/api/auth/passkey/verify-authentication",
        json={"response": response, "ceremony": options["ceremony"]},
    )
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


@pytest.mark.parametrize("source", SOURCES)
async def test_people_keep_password_code_and_passkey(source: str, shell: Shell, tmp_path: Path) -> None:
    made = real(source, tmp_path)
    import_from(shell, source, made)
    async with moved(shell.data) as here:
        uma = await here.sign_in("uma")
        if "totp" in made.knows:
            entered = await here.enter_code(uma["challenge"], bytes.fromhex(made.knows["totp"]))
            assert entered["session"]["aal"] == 2
        if made.browser is not None and source != "django-otp":
            # Twice: the first use of an imported passkey says whether it may be synced.
            for _ in range(2):
                entered = await enter_with_passkey(here.http, made)
                assert entered["user"]["email"] == "ben@example.com"
                assert entered["session"]["amr"] == ["swk", "user"]


@pytest.mark.parametrize("source", ["django-allauth", "django-mfa"])
async def test_secrets_that_the_project_encrypted_or_signed_are_read(
    source: str, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = real(source, tmp_path, encrypted=True)
    (tmp_path / "project.py").write_text("def decrypt(text):\n    return text[::-1]\n")
    monkeypatch.chdir(tmp_path)
    more = ["--decrypt", "project:decrypt"] if source == "django-allauth" else []
    import_from(shell, source, made, *more)
    async with moved(shell.data) as here:
        uma = await here.sign_in("uma")
        entered = await here.enter_code(uma["challenge"], bytes.fromhex(made.knows["totp"]))
        assert entered["session"]["aal"] == 2
