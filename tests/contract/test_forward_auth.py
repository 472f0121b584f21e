"""Forward authentication for reverse proxies (contract part two, section 16; S39)."""

from __future__ import annotations

import pytest

from tests.contract.acting import create_key, create_organization
from tests.contract.api import Answer
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed

NAMES = ("kind", "user", "service-account", "actor", "organization", "scopes", "key")


async def ask(
    timed: Timed, query: str = "", *, method: str = "GET", path: str = "", **headers: str
) -> Answer:
    address = f"/api/auth/forward-auth{path}{query}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await timed.api.http.request(method, address, headers=named)


def identity(answer: Answer) -> dict[str, str]:
    """Give what the answer says; every header is there once."""
    for name in NAMES:
        assert len(answer.headers.get_list(f"x-auth-{name}")) == 1, name
    return {name: answer.headers[f"x-auth-{name}"] for name in NAMES}


async def test_key_and_session_are_named(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    key = await create_key(timed.api, session, scopes=["a:b", "c:d"], organizationId=organization)
    answer = await ask(timed, authorization=f"Bearer {key['key']}")
    assert answer.status_code == 200
    assert identity(answer) == {
        "kind": "api_key",
        "user": account.id,
        "service-account": "",
        "actor": "customer",
        "organization": organization,
        "scopes": "a:b c:d",
        "key": key["id"],
    }
    named = identity(await ask(timed, authorization=f"Bearer {session.token}"))
    assert (named["kind"], named["user"], named["key"], named["scopes"]) == ("session", account.id, "", "")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
async def test_every_method_is_taken_and_no_body_is_read(timed: Timed, method: str) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    answer = await timed.api.http.request(
        method,
        "/api/auth/forward-auth",
        content=b"not json",
        headers={
            "authorization": f"Bearer {key['key']}",
            "origin": "https://elsewhere.example.com",
            "access-control-request-method": "POST",
        },
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer nonsense"}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": "Bearer czo_" + "A" * 43}, 401),
        ({"authorization": "Basic eDp5"}, 401),
        ({"cookie": "better-auth.session_token=czs_no"}, 401),
    ],
)
async def test_what_is_no_credential_is_401_with_empty_names(
    timed: Timed, headers: dict[str, str], status: int
) -> None:
    answer = await ask(timed, **headers)
    assert answer.status_code == status
    assert set(identity(answer).values()) == {""}


async def test_doubled_credential_is_401(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    pair = [("authorization", f"Bearer {session.token}")] * 2
    answer = await timed.api.http.get("/api/auth/forward-auth", headers=pair)
    assert answer.status_code == 401


async def test_requirements_are_all_asked_for(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, scopes=["a:b", "c:d"])
    bearer = f"Bearer {key['key']}"
    for query, status in {
        "?scopes=a:b+c:d": 200,
        "?scopes=a:b": 200,
        "?scopes=a:b+e:f": 403,
        "?aal=1": 200,
        "?aal=2": 403,
        "?actor=customer": 200,
        "?actor=admin": 403,
        "?phr=true": 403,
        "?scopes=a:b&aal=1&actor=customer": 200,
    }.items():
        answer = await ask(timed, query, authorization=bearer)
        assert answer.status_code == status, query
        if status == 403:
            assert answer.headers["x-auth-error"]


@pytest.mark.parametrize(
    "query",
    [
        *("?scopes=", "?scopes=a", "?scopes=a:b,c:d", "?scopes=a:b++c:d", "?scope=a:b", "?x=1", "?%ff=1"),
        *("?aal=3", "?aal=", "?aal=two", "?aal=1&aal=2", "?actor=nobody", "?phr=yes"),
    ],
)
async def test_odd_requirement_is_never_let_through(timed: Timed, query: str) -> None:
    _, session = await timed.people.newcomer()
    answer = await ask(timed, query, authorization=f"Bearer {session.token}")
    assert answer.status_code == 400, answer.text


async def test_appended_path_brings_the_clients_query_which_cannot_ask_for_less(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    bearer = f"Bearer {session.token}"
    assert (await ask(timed, "?page=2", path="/orders/7", authorization=bearer)).status_code == 200
    assert (await ask(timed, "?aal=2", path="/orders/7", authorization=bearer)).status_code == 403
    assert (await ask(timed, path="/orders/7")).status_code == 401


async def test_names_that_the_client_sent_never_pass(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    answer = await ask(timed, authorization=f"Bearer {session.token}", x_auth_user="root", x_auth_key="k")
    assert identity(answer)["user"] == account.id
    assert identity(answer)["key"] == ""


async def test_key_over_its_limit_is_403_and_says_so(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    limit = {"rateLimitEnabled": True, "rateLimitMax": 1, "rateLimitTimeWindow": 60_000}
    key = await create_key(timed.api, session, **limit)
    answers = [await ask(timed, authorization=f"Bearer {key['key']}") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 403]
    assert answers[1].headers["x-auth-error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x_forwarded_method": "GET"}, 200),
        ({"x_original_method": "HEAD"}, 200),
        ({"x_forwarded_method": "POST"}, 403),
        ({"x_forwarded_method": "POST", "origin": "own"}, 200),
        ({"x_forwarded_method": "POST", "origin": "https://elsewhere.example.com"}, 403),
        ({"x_forwarded_method": "GET", "x_original_method": "POST"}, 403),
        ({}, 403),
    ],
)
async def test_cookie_is_checked_by_the_method_that_a_trusted_proxy_says(
    deploy: Deploy, headers: dict[str, str], status: int
) -> None:
    timed = await deploy(trusted_proxies=("127.0.0.1",))
    _, session = await timed.people.newcomer()
    cookie = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
    if headers.get("origin") == "own":
        headers = {**headers, "origin": timed.api.origin}
    answer = await ask(timed, cookie=cookie, **headers)
    assert answer.status_code == status, answer.text


async def test_method_is_not_believed_from_anybody(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    cookie = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
    answer = await ask(timed, cookie=cookie, x_forwarded_method="GET")
    assert answer.status_code == 403


TRAEFIK = {
    "x-forwarded-method": "DELETE",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "shop.example.com",
    "x-forwarded-uri": "/orders/7?admin=true",
    "x-forwarded-for": "203.0.113.9",
    "x-forwarded-port": "443",
    "x-forwarded-server": "traefik-1",
    "x-real-ip": "203.0.113.9",
    "accept-encoding": "gzip",
}
ENVOY = {
    "x-envoy-internal": "true",
    "x-envoy-expected-rq-timeout-ms": "250",
    "x-forwarded-proto": "https",
    "x-forwarded-for": "203.0.113.9",
    "x-request-id": "7a6a0f5e-8d3b-9d5e-8f5f-0f1a2b3c4d5e",
    "content-length": "0",
}
SHAPES = {
    "Traefik": ("GET", "", "?scopes=a:b", TRAEFIK),
    "Envoy": ("DELETE", "/orders/7", "?admin=true&scopes=a:b", ENVOY),
    "Envoy at the root": ("GET", "/", "", ENVOY),
    "Envoy with an odd path": ("POST", "/a//b/../c;d=e/%2e%2e/%2Fx", "?&&=&q=%20", ENVOY),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_requests_as_other_proxies_send_them(deploy: Deploy, shape: str) -> None:
    timed = await deploy(trusted_proxies=("127.0.0.1",))
    method, path, query, headers = SHAPES[shape]
    account, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, scopes=["a:b"], allowedIps=["203.0.113.9"])
    for bearer, status in ((key["key"], 200), ("czo_" + "A" * 43, 401), (None, 401)):
        sent = {**headers, **({"authorization": f"Bearer {bearer}"} if bearer else {})}
        address = f"/api/auth/forward-auth{path}{query}"
        answer = await timed.api.http.request(method, address, headers=sent)
        assert answer.status_code == status, answer.text
        assert identity(answer)["user"] == (account.id if status == 200 else "")
    # The client's address is the proxy's word for it, also for the key's allow-list.
    elsewhere = {**headers, "x-forwarded-for": "198.51.100.1", "authorization": f"Bearer {key['key']}"}
    answer = await timed.api.http.request(method, f"/api/auth/forward-auth{path}{query}", headers=elsewhere)
    assert answer.status_code == 403


async def test_traefiks_method_decides_over_a_cookie(deploy: Deploy) -> None:
    timed = await deploy(trusted_proxies=("127.0.0.1",))
    _, session = await timed.people.newcomer()
    cookie = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
    reads = {**TRAEFIK, "x-forwarded-method": "GET", "cookie": cookie}
    for headers, status in (
        (reads, 200),
        ({**TRAEFIK, "cookie": cookie}, 403),
        ({**TRAEFIK, "cookie": cookie, "origin": timed.api.origin}, 200),
    ):
        answer = await timed.api.http.get("/api/auth/forward-auth", headers=headers)
        assert answer.status_code == status
