"""nginx in front of a service, started by the one command of the example."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import httpx
import pytest

from tests.docs.pages import DOCS, blocks_of
from tests.examples.hosts import PATIENCE_SECONDS, ROOT, HostProcess
from tests.support.nginx import PROGRAM
from tests.support.ports import free_port

FOLDER = ROOT / "examples" / "nginx_front"
ACCOUNT = {"name": "Bo", "email": "bo@shop.example", "password": "a long enough phrase"}


def test_configuration_is_the_one_that_the_how_to_explains() -> None:
    (shown,) = [each for each in blocks_of(DOCS / "how-to" / "nginx.md") if each.title == "nginx.conf"]
    assert (FOLDER / "nginx.conf").read_text("utf-8") == shown.text


def test_readme_begins_with_the_one_command() -> None:
    second_paragraph = (FOLDER / "README.md").read_text("utf-8").split("\n\n")[1]
    assert second_paragraph.endswith("python -m examples.nginx_front")


def ask(method: str, url: str, **more: object) -> httpx.Response:
    """Send a request on a connection of its own, again until somebody listens."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with contextlib.suppress(httpx.ConnectError):
            answer = httpx.request(method, url, timeout=PATIENCE_SECONDS, trust_env=False, **more)  # type: ignore[arg-type]
            # 502: the service behind nginx is not up yet.
            if answer.status_code != 502:
                return answer
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.deep
@pytest.mark.skipif(PROGRAM is None, reason="nginx is not installed")
def test_service_is_told_who_calls_and_nobody_else_reaches_it(tmp_path: Path) -> None:
    ports = {"NGINX_PORT": str(free_port()), "ORDERS_PORT": str(free_port())}
    host = HostProcess(["-m", "examples.nginx_front"], tmp_path, env=ports, front_page="/healthz")
    host.start()
    try:
        front = f"http://127.0.0.1:{ports['NGINX_PORT']}/today"
        assert ask("GET", front, headers={"x-auth-user": "root"}).status_code == 401
        account = ask("POST", f"{host.url}/api/auth/sign-up/email", json=ACCOUNT).json()
        session = {"authorization": f"Bearer {account['accessToken']}"}
        wanted = {"name": "orders", "scopes": ["orders:read"]}
        made = ask("POST", f"{host.url}/api/auth/api-keys", json=wanted, headers=session).json()["apiKey"]
        key = {"authorization": f"Bearer {made['key']}", "x-auth-user": "root"}
        assert ask("GET", front, headers=key).json() == {
            "x-auth-kind": "api_key",
            "x-auth-user": account["user"]["id"],
            "x-auth-scopes": "orders:read",
            "authorization": None,
        }
        assert ask("DELETE", f"{host.url}/api/auth/api-keys/{made['id']}", headers=session).status_code == 204
        assert ask("GET", front, headers=key).status_code == 401
    finally:
        # The three servers are in sessions of their own: only the example itself ends them.
        status = host.stop()
    assert status == 0
    for port in ports.values():
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
