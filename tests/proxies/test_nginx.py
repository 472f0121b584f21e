"""A service behind nginx, by the configuration that the documentation shows: what reaches it, and what never does."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.docs.pages import DOCS, blocks_of
from tests.support.nginx import PROGRAM, Nginx
from tests.support.ports import free_port
from tests.support.server import RunningServer

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="nginx is not installed")

NAMES = ("kind", "user", "service-account", "actor", "organization", "scopes", "key")
PASSWORD = "a long enough phrase"


@dataclass
class Service:
    """The service behind nginx: notes what it is asked, and believes all of it."""

    port: int
    seen: list[tuple[str, str, list[tuple[str, str]], bytes]] = field(default_factory=list)

    @property
    def last(self) -> dict[str, str]:
        """The headers of the last request, none of which came twice."""
        headers = [(name.lower(), value) for name, value in self.seen[-1][2]]
        assert len(dict(headers)) == len(headers), headers
        return dict(headers)


@dataclass(frozen=True)
class Setup:
    auth: RunningServer
    nginx: Nginx
    service: Service
    person: dict[str, Any]
    cookies: str

    def key(self, *scopes: str, **more: Any) -> dict[str, Any]:
        body = {"name": "k: X-Auth-User: root; é", "scopes": list(scopes), **more}
        bearer = {"authorization": f"Bearer {self.person['accessToken']}"}
        answer = httpx.post(f"{self.auth.url}/api/auth/api-keys", json=body, headers=bearer)
        assert answer.status_code == 201, answer.text
        shown: dict[str, Any] = answer.json()["apiKey"]
        return shown

    def ask(
        self, *headers: tuple[str, str], method: str = "GET", path: str = "/today", **how: Any
    ) -> httpx.Response:
        return httpx.request(method, self.nginx.url + path, headers=list(headers), **how)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp("nginx")
    env = {"CZO_AUTH_TRUSTED_PROXIES": "127.0.0.1", "CZO_AUTH_RATE_LIMIT_ENABLED": "false"}
    auth = RunningServer(folder / "auth", env=env, weak_hashes=True)
    auth.start()
    service = Service(free_port())
    port = free_port()
    (shown,) = [block for block in blocks_of(DOCS / "how-to" / "nginx.md") if block.title == "nginx.conf"]
    text = shown.text.replace(":8000", f":{auth.port}").replace(":8001", f":{service.port}")
    (folder / "nginx").mkdir()
    with (
        _listening(service),
        Nginx(folder / "nginx", configuration=text.replace(":8080", f":{port}"), port=port) as nginx,
    ):
        answer = httpx.post(
            f"{auth.url}/api/auth/sign-up/email",
            json={"email": "nia@example.com", "name": "Nia: X-Auth-Key: root; é", "password": PASSWORD},
        )
        cookies = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
        yield Setup(auth, nginx, service, answer.json(), cookies)
    auth.stop()


class _listening:
    """Runs the service in a thread."""

    def __init__(self, service: Service) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                service.seen.append((self.command, self.path, list(self.headers.items()), body))
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = _any

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", service.port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def bearer(key: dict[str, Any]) -> tuple[str, str]:
    return ("authorization", f"Bearer {key['key']}")


def test_key_reaches_the_service_as_who_it_acts_for_and_not_as_itself(setup: Setup) -> None:
    key = setup.key("orders:read", "orders:write")
    answer = setup.ask(bearer(key), method="POST", path="/orders?page=2", content=b"a body")
    assert (answer.status_code, answer.text) == (200, "ok")
    method, path, _, body = setup.service.seen[-1]
    assert (method, path, body) == ("POST", "/orders?page=2", b"a body")
    reported = setup.service.last
    assert "authorization" not in reported
    assert key["key"] not in json.dumps(reported)
    assert {name: reported.get(f"x-auth-{name}") for name in NAMES} == {
        "kind": "api_key",
        "user": setup.person["user"]["id"],
        "service-account": None,
        "actor": "customer",
        "organization": None,
        "scopes": "orders:read orders:write",
        "key": key["id"],
    }


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 401),
        ([("authorization", "Bearer nonsense")], 401),
        ([("authorization", "Bearer czo_" + "A" * 43)], 401),
        ([("x-auth-user", "root"), ("x-auth-kind", "session")], 401),
        ([("x-original-method", "GET"), ("x-forwarded-method", "GET")], 401),
    ],
)
def test_nobody_reaches_the_service(setup: Setup, headers: list[tuple[str, str]], status: int) -> None:
    before = len(setup.service.seen)
    answer = setup.ask(*headers)
    assert answer.status_code == status
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert len(setup.service.seen) == before


def test_missing_scope_and_exceeded_limit_are_403(setup: Setup) -> None:
    assert setup.ask(bearer(setup.key("orders:write"))).status_code == 403
    limit = {"rateLimitEnabled": True, "rateLimitMax": 1, "rateLimitTimeWindow": 60_000}
    limited = setup.key("orders:read", **limit)
    assert [setup.ask(bearer(limited)).status_code for _ in range(2)] == [200, 403]


FORGED = [
    *((name, "root") for name in ("X-Auth-User", "x-auth-user", "X-AUTH-KIND", "X-Auth-Organization")),
    *((name, "root") for name in ("X-Auth-Service-Account", "X-Auth-Key", "X-Auth-Scopes", "X-Auth-Actor")),
]


def test_headers_that_the_client_forged_never_arrive(setup: Setup) -> None:
    key = setup.key("orders:read")
    # Twice each, and in spellings that some frameworks read as the same name.
    spelled = [(name.replace("-", "_"), value) for name, value in FORGED]
    assert setup.ask(bearer(key), *FORGED, *FORGED, *spelled).status_code == 200
    reported = setup.service.last
    assert "root" not in json.dumps(reported)
    assert reported["x-auth-user"] == setup.person["user"]["id"]


def test_names_of_users_and_keys_write_no_header(setup: Setup) -> None:
    for forged in ("k\r\nX-Auth-User: root", "k\nX-Auth-User: root", "k\u2028X-Auth-User: root", "k\x00"):
        body = {"name": forged, "scopes": []}
        own = {"authorization": f"Bearer {setup.person['accessToken']}"}
        refused = httpx.post(f"{setup.auth.url}/api/auth/api-keys", json=body, headers=own)
        assert refused.status_code == 400, forged
    assert setup.ask(bearer(setup.key("orders:read"))).status_code == 200
    reported = setup.service.last
    own = {name: value for name, value in reported.items() if name.startswith("x-auth-")}
    assert set(own) <= {f"x-auth-{name}" for name in NAMES}
    assert all(re.fullmatch(r"[0-9a-z_:* -]+", value) for value in own.values()), own


@pytest.mark.parametrize(
    ("method", "origin", "status"),
    [
        ("GET", None, 200),
        ("POST", None, 403),
        ("POST", "https://elsewhere.example.com", 403),
        ("POST", "own", 200),
    ],
)
def test_cookie_is_checked_by_the_method_that_the_client_used(
    setup: Setup, method: str, origin: str | None, status: int
) -> None:
    headers = [("cookie", setup.cookies), ("x-original-method", "GET"), ("x-forwarded-method", "GET")]
    if origin is not None:
        headers.append(("origin", setup.auth.url if origin == "own" else origin))
    assert setup.ask(*headers, method=method).status_code == status


def test_revoked_key_is_refused_at_the_next_request(setup: Setup) -> None:
    key = setup.key("orders:read")
    assert setup.ask(bearer(key)).status_code == 200
    revoked = httpx.delete(
        f"{setup.auth.url}/api/auth/api-keys/{key['id']}",
        headers={"authorization": f"Bearer {setup.person['accessToken']}"},
    )
    assert revoked.status_code == 204
    assert setup.ask(bearer(key)).status_code == 401


def test_server_that_is_gone_lets_nobody_through(setup: Setup) -> None:
    key = setup.key("orders:read")
    setup.auth.stop()
    try:
        before = len(setup.service.seen)
        assert setup.ask(bearer(key)).status_code == 500
        assert len(setup.service.seen) == before
    finally:
        setup.auth.start()
    assert setup.ask(bearer(key)).status_code == 200
