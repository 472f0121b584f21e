"""``czo-auth login``: a key for this machine, approved in the browser, and kept where nobody else reads it."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from czo_auth.cli.device_login import _store
from czo_auth.cli.login import login
from czo_auth.settings import DATABASE_FILE
from tests.cli.shell import PASSWORD, PROGRAM, Shell
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

    def let_expire(self, name: str) -> None:
        """Move the end of a request into the past."""
        database = sqlite3.connect(self.server.data_directory / DATABASE_FILE, isolation_level=None)
        with closing(database):
            change = "UPDATE czo_auth_device_authorizations SET expires_at = created_at WHERE name = ?"
            changed = database.execute(change, (name,))
            assert changed.rowcount == 1

    def listed(self) -> list[tuple[str, bool]]:
        headers = {"authorization": f"Bearer {self.token}"}
        listed = httpx.get(f"{self.server.url}/api/auth/api-keys", headers=headers).json()["apiKeys"]
        return [(key["name"], key["enabled"]) for key in listed]

    def whoami(self, key: str) -> httpx.Response:
        return httpx.get(f"{self.server.url}/api/auth/whoami", headers={"authorization": f"Bearer {key}"})


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    server = RunningServer(
        tmp_path_factory.mktemp("login"), env={"CZO_AUTH_RATE_LIMIT_ENABLED": "false"}, weak_hashes=True
    )
    server.start()
    yield signed_up(server)
    server.stop()


def signed_up(server: RunningServer) -> Browser:
    account = {"email": "ada@example.com", "name": "Ada", "password": PASSWORD}
    answer = httpx.post(f"{server.url}/api/auth/sign-up/email", json=account)
    return Browser(server, answer.headers["set-auth-token"])


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

    def wait_for(self, sentence: str) -> None:
        until = time.monotonic() + SECONDS
        while sentence not in self.said:
            assert time.monotonic() < until, self.said
            time.sleep(0.05)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def end(self, code: int = 0) -> str:
        """Wait for the end; gives all that was said."""
        out, _ = self._process.communicate(timeout=SECONDS)
        self._errors.close()
        said = self.said + out
        assert self._process.returncode == code, said
        assert "Traceback" not in said
        assert not re.search(r"cz[ov]_[A-Za-z0-9_-]{43}", said), "a secret was shown"
        return said


@pytest.mark.deep
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
        "expired": Login(browser, tmp_path / "f", "--name", "forgotten"),
        "cancelled": Login(browser, tmp_path / "g"),
        "unstorable": Login(browser, tmp_path / "h", "--store", str(tmp_path / "taken" / "keys.json")),
    }
    for name, command in logins.items():
        code = command.code()
        if name == "expired":
            browser.let_expire("forgotten")
        elif name == "cancelled":
            command.interrupt()
        else:
            browser.decide("deny" if name == "denied" else "approve", code)
    # It could be made when the command looked, and cannot any more.
    (tmp_path / "taken").write_text("")
    codes = {"denied": 1, "expired": 1, "cancelled": 130, "unstorable": 1}
    said = {name: command.end(codes.get(name, 0)) for name, command in logins.items()}

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

    assert "denied" in said["denied"].lower()
    assert "expired" in said["expired"]
    assert "cancelled" in said["cancelled"]
    assert "is revoked" in said["unstorable"]
    assert (tmp_path / "taken").read_text() == ""
    for home in "efgh":
        assert not (tmp_path / home / ".config").exists()
    # A key that could not be stored is one that nobody has.
    alive = [name for name, enabled in browser.listed() if enabled]
    assert len(alive) == 4, alive


@pytest.mark.deep
def test_server_that_goes_away_while_the_command_waits_is_asked_again(tmp_path: Path) -> None:
    server = RunningServer(
        tmp_path / "server", env={"CZO_AUTH_RATE_LIMIT_ENABLED": "false"}, weak_hashes=True
    )
    server.start()
    browser = signed_up(server)
    login = Login(browser, tmp_path / "home")
    code = login.code()
    browser.decide("approve", code)
    server.stop()
    login.wait_for("does not answer; still trying")
    server.start()
    login.end()
    server.stop()
    (key,) = json.loads((tmp_path / "home" / ".config" / "czo-auth" / "keys.json").read_text()).values()
    assert key.startswith("czo_")


class Script(http.server.BaseHTTPRequestHandler):
    """A server that answers one after the other what a test says; None closes the connection."""

    answers: ClassVar[list[tuple[int, str] | None]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        answer = self.answers.pop(0)
        if answer is None:
            self.close_connection = True
            return
        status, body = answer
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *what: object) -> None:
        """Say nothing."""


def ask_by_script(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *answers: tuple[int, str] | None
) -> list[float]:
    """Let the command meet these answers; gives how long it waited before each poll."""
    pauses: list[float] = []
    monkeypatch.setattr("czo_auth.cli.device_login.time.sleep", pauses.append)
    script = type("OneScript", (Script,), {"answers": list(answers)})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), script) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            login(f"http://127.0.0.1:{server.server_port}", days=90, store=tmp_path / "keys.json")
        finally:
            server.shutdown()
            thread.join()
    return pauses


BEGUN = json.dumps(
    {
        "device_code": "czv_EXAMPLE",
        "user_code": "BCDF-GHJK",
        "verification_uri_complete": "https://auth.example.com/account/device?user_code=BCDF-GHJK",
        "expires_in": 600,
        "interval": 5,
    }
)
PENDING, SLOWER = (400, '{"error": "authorization_pending"}'), (400, '{"error": "slow_down"}')
GIVEN = (200, '{"access_token": "czo_EXAMPLE", "token_type": "Bearer"}')


def test_polls_are_as_slow_as_the_server_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """RFC 8628 section 3.5: five seconds more for each ``slow_down``; a silent server is asked less and less often."""
    polls = [PENDING, SLOWER, PENDING, SLOWER, (503, ""), None, (429, "{}"), PENDING, GIVEN]
    pauses = ask_by_script(monkeypatch, tmp_path, (200, BEGUN), *polls)
    assert pauses == [5, 5, 10, 10, 15, 30, 60, 60, 15]
    assert list(json.loads((tmp_path / "keys.json").read_text()).values()) == ["czo_EXAMPLE"]


@pytest.mark.parametrize(
    ("answers", "code", "why"),
    [
        ([None], 75, "does not answer, try again"),
        ([(503, "{}")], 75, "does not answer, try again"),
        ([(200, "<html>")], 1, "does not answer as a deployment of czo-auth does"),
        ([(200, '["device_code"]')], 1, "does not answer as a deployment of czo-auth does"),
        ([(200, BEGUN.replace("600", '"soon"'))], 1, "does not answer as a deployment of czo-auth does"),
        ([(302, "")], 1, "the server answered 302"),
        ([(404, '{"message": "no \\u001b[2J here"}')], 1, "no \\u001b[2J here"),
        ([(200, BEGUN), (400, "not JSON")], 1, "the server answered 400"),
        ([(200, BEGUN), (200, "{}")], 1, "sent no key"),
        ([(200, BEGUN), (400, '{"error": "invalid_grant", "message": "Fetched."}')], 1, "Fetched."),
    ],
)
def test_what_a_server_may_answer_ends_in_a_sentence(
    answers: list[tuple[int, str] | None],
    code: int,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        ask_by_script(monkeypatch, tmp_path, *answers)
    assert ended.value.code == code
    assert why in capsys.readouterr().err
    assert not (tmp_path / "keys.json").exists()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://auth.example.com", "https only"),
        ("ftp://auth.example.com", "must be like"),
        ("auth.example.com", "must be like"),
        ("https://user:password@auth.example.com", "must be like"),
    ],
)
def test_key_travels_over_https_only(url: str, why: str, fresh: Shell) -> None:
    done = fresh.run("login", url, code=2)
    assert why in done.stderr.replace("\n", " ")
    assert "password" not in done.stderr


# One read decides about all three.
@pytest.mark.parametrize(
    "content",
    [
        "my notes",
        pytest.param('["a list"]', marks=pytest.mark.deep),
        pytest.param('{"name": {"of": "something else"}}', marks=pytest.mark.deep),
    ],
)
def test_file_that_holds_something_else_is_left_alone(
    content: str, browser: Browser, fresh: Shell, tmp_path: Path
) -> None:
    """Before anything is asked for."""
    other = tmp_path / "other.txt"
    other.write_text(content)
    done = fresh.run("login", browser.server.url, "--store", str(other), code=1)
    assert "holds something else" in done.stderr
    assert "Open" not in done.stderr
    assert other.read_text() == content


def test_folder_instead_of_a_file_is_refused_before_anything_is_asked_for(
    fresh: Shell, tmp_path: Path
) -> None:
    done = fresh.run("login", "http://127.0.0.1:9", "--store", f"{tmp_path}/keys/", code=2)
    assert "there is no such folder" in done.stderr
    assert not (tmp_path / "keys").exists()


def test_keys_that_are_stored_at_once_are_all_there(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    addresses = [f"https://{number}.example.com" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda url: _store(url, "czo_EXAMPLE", file), addresses))
    assert json.loads(file.read_text()).keys() == set(addresses)
