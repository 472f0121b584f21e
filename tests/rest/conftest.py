"""One server for the tests of organizations, and people there."""

from __future__ import annotations

from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx
import pytest

from tests.rest.callers import NUMBERS, PASSWORD, Caller, ok
from tests.support.server import RunningServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(
        tmp_path_factory.mktemp("organizations"),
        env={"CZO_AUTH_RATE_LIMIT_ENABLED": "false"},
        weak_hashes=True,
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        # Several people share the client: a cookie jar would mix them up.
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        yield client


@pytest.fixture
def person(http: httpx.Client) -> Any:
    """Sign somebody up and in."""

    def settle(name: str) -> Caller:
        email = f"{name}-{next(NUMBERS)}@example.com"
        account = {"email": email, "password": PASSWORD, "name": name}
        anonymous = Caller(http)
        ok(anonymous.post("/customer/sign-up", account), 201)
        entered = ok(anonymous.post("/customer/sign-in/email", {"email": email, "password": PASSWORD}))
        return Caller(http, entered["accessToken"], entered["user"])

    return settle
