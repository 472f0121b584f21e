"""``czo-auth login``: a key for this machine, approved in the browser, and kept where nobody else reads it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.cli.shell import PASSWORD, PROGRAM
from tests.support.server import INHERITED, RunningServer

SECONDS = 40
# A backend as the keyring library wants one, which keeps what it is given where the test can read it.
BACKEND = """
import json, os
from keyring.backend import KeyringBackend

class FileKeyring(KeyringBackend):
    priority = 9

    def set_password(self, service, username, password):
        with open(os.environ["KEPT_BY_THE_KEYRING"], "w") as file:
            json.dump([service, username, password], file)

    def get_password(self, service, username):
        return None

class LockedKeyring(FileKeyring):
    def set_password(self, service, username, password):
        raise RuntimeError("the keyring is locked")
"""


@dataclass(frozen=True)
class Browser:
    """Somebody who is signed in at the server."""

    server: RunningServer
    token: str

    def decide(self, what: str, user_code: str) -> None:
        headers = {"authorization": f"Bearer {self.token}"}
        seen = httpx.get(f"{self.server.url}/api/auth/device?user_code={user_code}", headers=headers).json()
        assert seen["client_id"] == "czo-auth"
        body = {"userCode": user_code}
        answer = httpx.post(f"{self.server.url}/api/auth/device/{what}", json=body, headers=headers)
        assert answer.json() == {"success": True}

    def whoami(self, key: str) -> httpx.Response:
        return httpx.get(f"{self.server.url}/api/auth/whoami", headers={"authorization": f"Bearer {key}"})


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    server = RunningServer(tmp_path_factory.mktemp("login"), env={"CZO_AUTH_RATE_LIMIT_ENABLED": "false"})
    server.start()
    account = {"email": "ada@example.com", "name": "Ada", "password": PASSWORD}
    signed_up = httpx.post(f"{server.url}/api/auth/sign-up/email", json=account)
    yield Browser(server, signed_up.headers["set-auth-token"])
    server.stop()


class Login:
    """The command while it waits for somebody's approval."""

    def __init__(self, browser: Browser, home: Path, *words: str, **env: str) -> None:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        home.mkdir(exist_ok=True)
        self.home = home
        self._errors = (home / "stderr.txt").open("w+")
        self._process = subprocess.Popen(
            [*PROGRAM, "login", browser.server.url, *words],
            env={**inherited, "HOME": str(home), "PYTHONUNBUFFERED": "1", **env},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            # Nobody else may read what is written, whatever a new file may be by default.
            umask=0o000,
        )

    @property
    def said(self) -> str:
        return (self.home / "stderr.txt").read_text()

    def code(self) -> str:
        """Wait until the command shows the code."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            if (shown := re.search(r"the code ([A-Z]{4}-[A-Z]{4})", self.said)) is not None:
                return shown[1]
            time.sleep(0.05)
        raise AssertionError(self.said)

    def end(self, code: int = 0) -> str:
        """Wait for the end; gives all that was said."""
        out, _ = self._process.communicate(timeout=SECONDS)
        self._errors.close()
        said = self.said + out
        assert self._process.returncode == code, said
        assert "Traceback" not in said
        assert not re.search(r"cz[ov]_[A-Za-z0-9_-]{43}", said), "a secret was shown"
        return said


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_key_is_kept_in_the_keyring_or_in_a_file_of_its_owner_alone(browser: Browser, tmp_path: Path) -> None:
    """Together, since each of them waits five seconds as the server tells it."""
    (tmp_path / "backends").mkdir()
    (tmp_path / "backends" / "file_backend.py").write_text(BACKEND)
    kept = tmp_path / "kept.json"
    with_keyring = {"PYTHONPATH": str(tmp_path / "backends"), "KEPT_BY_THE_KEYRING": str(kept)}
    own = tmp_path / "own.json"
    own.write_text('{"https://other.example.com": "czo_EXAMPLE"}')
    own.chmod(0o644)
    logins = {
        "file": Login(browser, tmp_path / "a", "--scope", "orders:read", "--days", "30", "--name", "laptop"),
        "keyring": Login(
            browser, tmp_path / "b", PYTHON_KEYRING_BACKEND="file_backend.FileKeyring", **with_keyring
        ),
        "locked": Login(
            browser, tmp_path / "c", PYTHON_KEYRING_BACKEND="file_backend.LockedKeyring", **with_keyring
        ),
        "store": Login(browser, tmp_path / "d", "--store", str(own)),
        "denied": Login(browser, tmp_path / "e"),
    }
    for name, login in logins.items():
        browser.decide("deny" if name == "denied" else "approve", login.code())
    said = {name: login.end(1 if name == "denied" else 0) for name, login in logins.items()}

    in_home = tmp_path / "a" / ".config" / "czo-auth" / "keys.json"
    assert str(in_home) in said["file"]
    assert in_home.stat().st_mode & 0o777 == 0o600
    assert in_home.parent.stat().st_mode & 0o777 == 0o700
    (key,) = json.loads(in_home.read_text()).values()
    shown = browser.whoami(key).json()
    assert (shown["kind"], shown["scopes"]) == ("api_key", ["orders:read"])

    assert "the system's keyring" in said["keyring"]
    service, url, kept_key = json.loads(kept.read_text())
    assert (service, url) == ("czo-auth", browser.server.url)
    assert browser.whoami(kept_key).status_code == 200
    assert not (tmp_path / "b" / ".config").exists()

    assert "keyring is not used" in said["locked"]
    fallback = tmp_path / "c" / ".config" / "czo-auth" / "keys.json"
    assert fallback.stat().st_mode & 0o777 == 0o600

    both = json.loads(own.read_text())
    assert both.keys() == {"https://other.example.com", browser.server.url}
    assert own.stat().st_mode & 0o777 == 0o600, "a file that others could read no longer is one"

    assert "denied" in said["denied"].lower() or "refused" in said["denied"].lower()
    assert not (tmp_path / "e" / ".config").exists()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://auth.example.com", "https only"),
        ("ftp://auth.example.com", "must be like"),
        ("auth.example.com", "must be like"),
        ("https://user:password@auth.example.com", "must be like"),
    ],
)
def test_key_travels_over_https_only(url: str, why: str) -> None:
    done = subprocess.run([*PROGRAM, "login", url], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert why in done.stderr.replace("\n", " ")
    assert "password" not in done.stderr


def test_file_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    from typer import Exit

    from czo_auth.cli.login import _kept

    other = tmp_path / "other.txt"
    other.write_text("my notes")
    with pytest.raises(Exit):
        _kept(other)
    assert other.read_text() == "my notes"
