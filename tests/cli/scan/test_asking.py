"""``czo-auth scan --ask``: a deployment says which keys are valid, and ends those that leaked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from czo_auth.crypto import tokens
from czo_auth.settings import KEY_FILE
from tests.cli.inside import Inside
from tests.cli.shell import PASSWORD, Shell
from tests.conftest import StartServer
from tests.support.ports import free_port

pytestmark = pytest.mark.deep


def test_keys_that_live_are_reported_and_revoked(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(workers=2)
    shell = Shell(server.data_directory)
    user = shell.create("ada@example.com")
    inside = Inside(server.data_directory, key=(server.data_directory / KEY_FILE).read_text().strip())
    live, _ = inside.give_api_key(user["id"])
    spared, _ = inside.give_api_key(user["id"])
    dead = tokens.new_token("czo_")
    leak = tmp_path / "leak.txt"
    leak.write_text(f"{live}\n{dead}\n{live}\n{tokens.new_token('czs_')}\n")

    def states(*words: str) -> list[str]:
        done = shell.run("scan", "--json", "--ask", server.url, *words, str(leak), code=1)
        assert live[8:] not in done.stdout + done.stderr
        return [json.loads(line)["state"] for line in done.stdout.splitlines()]

    assert states() == ["live", "not valid", "live"]
    assert states("--all-kinds") == ["live", "not valid", "live", None]
    assert states("--revoke") == ["was live, reported", "was not valid, reported", "was live, reported"]
    assert states() == ["not valid"] * 3
    whoami = f"{server.url}/api/auth/whoami"
    answers = [httpx.get(whoami, headers={"authorization": f"Bearer {key}"}) for key in (live, spared)]
    assert [answer.status_code for answer in answers] == [401, 200]
    assert live[8:] not in server.output()


class _Stranger(BaseHTTPRequestHandler):
    """Some other server, which would like to have the keys sent on."""

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("location", "http://127.0.0.1:9/stolen")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Stranger)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_server_that_is_not_ours_is_reported_and_not_followed(
    fresh: Shell, stranger: str, tmp_path: Path
) -> None:
    key = tokens.new_token("czo_")
    (tmp_path / "leak.txt").write_text(key)
    for url, said in ((stranger, "answered 302"), (f"http://127.0.0.1:{free_port()}", "does not answer")):
        done = fresh.run("scan", "--ask", url, str(tmp_path / "leak.txt"), code=2)
        assert said in done.stderr
        assert key[:8] in done.stdout, "what was found is told all the same"
        assert key[8:] not in done.stdout + done.stderr


def test_live_key_that_may_not_be_used_from_here_is_reported_and_revoked(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    shell = Shell(server.data_directory)
    shell.create("ada@example.com")
    api = f"{server.url}/api/auth"
    credentials = {"email": "ada@example.com", "password": PASSWORD}
    token = httpx.post(f"{api}/customer/sign-in/email", json=credentials).headers["set-auth-token"]
    bearer = {"authorization": f"Bearer {token}"}
    keys = []
    for limits in ({"allowedIps": ["203.0.113.7"]}, {"rateLimitMax": 1, "rateLimitTimeWindow": 86_400_000}):
        made = httpx.post(f"{api}/api-keys", json={"name": "a key", **limits}, headers=bearer)
        keys.append(made.json()["apiKey"]["key"])
    used_up = httpx.get(f"{api}/whoami", headers={"authorization": f"Bearer {keys[1]}"})
    assert used_up.status_code == 200
    leak = tmp_path / "leak.txt"
    leak.write_text("\n".join(keys))
    words = ("scan", "--json", "--ask", server.url, "--revoke", str(leak))
    for state in ("was live, reported", "was not valid, reported"):
        done = shell.run(*words, code=1)
        assert [json.loads(line)["state"] for line in done.stdout.splitlines()] == [state] * 2


def test_invalid_address_is_reported(fresh: Shell) -> None:
    for url in ("https://ex\nample.com", "https://[::1", "http://shop.example", "https://u:p@shop.example"):
        assert "--ask" in fresh.run("scan", "--ask", url, "/nowhere", code=2).stderr
