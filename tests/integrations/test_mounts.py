"""Applications that a host mounts at another path than the one in the settings."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from litestar import Litestar, asgi
from litestar.types import Receive, Scope, Send
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from czo_auth import Auth, AuthMiddleware
from tests.integrations.acting import BASE, body_of, settle_administrator, sign_in, sign_up
from tests.integrations.raw import client_of


def starlette_at(*paths: str) -> Callable[[Auth], ASGIApp]:
    """Build a host that mounts the API at the last of *paths*, each inside the one before."""

    def build(auth: Auth) -> ASGIApp:
        host: ASGIApp = auth.app
        for path in reversed(paths):
            host = Starlette(routes=[Mount(path, host)])
        return AuthMiddleware(host, auth=auth)

    return build


def litestar_at(path: str) -> Callable[[Auth], ASGIApp]:
    """Build a host that cuts the path off."""

    def build(auth: Auth) -> ASGIApp:
        @asgi(path, is_mount=True, copy_scope=True)
        async def mount(scope: Scope, receive: Receive, send: Send) -> None:
            await auth.app({**scope, "root_path": ""}, receive, send)  # type: ignore[arg-type]

        return AuthMiddleware(Litestar([mount], logging_config=None), auth=auth)  # type: ignore[arg-type]

    return build


@pytest.mark.parametrize(
    ("build", "root"),
    [
        pytest.param(starlette_at("/auth"), "/auth", id="another path"),
        pytest.param(starlette_at("/api"), "/api", id="the path above"),
        pytest.param(starlette_at(f"{BASE}/v2"), f"{BASE}/v2", id="a path below"),
        pytest.param(starlette_at(""), "/", id="the root"),
        pytest.param(starlette_at("/v2", BASE), f"/v2{BASE}", id="inside another application"),
        pytest.param(litestar_at("/auth"), "/auth", id="Litestar"),
    ],
)
async def test_mount_elsewhere_is_named_at_once(
    auth: Auth, build: Callable[[Auth], ASGIApp], root: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="czo_auth")
    prefix = root.rstrip("/")
    email = await settle_administrator(auth)
    async with client_of(build(auth)) as client:
        for path in ("/admin/sign-in/email", "/two-factor/enable"):
            answer = await client.post(prefix + path, json={"email": email, "password": "?"})
            refusal = body_of(answer, status=500)
            assert refusal["code"] == "MOUNTED_ELSEWHERE"
            assert f"is mounted at {root}, but base_path is {BASE}: mount it at {BASE}" in refusal["message"]
    (record,) = [each for each in caplog.records if "mounted at" in each.getMessage()]
    assert record.levelno == logging.ERROR


@pytest.mark.parametrize(
    "path", [f"{BASE}//session", f"{BASE.replace('/auth', '//auth')}/session", f"{BASE}//"]
)
async def test_doubled_slash_is_no_mount_elsewhere(
    auth: Auth, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Litestar takes two for one."""
    async with client_of(litestar_at(BASE)(auth)) as client:
        assert (await client.get(path)).status_code in (401, 404)
    assert "mounted at" not in caplog.text


async def test_mount_elsewhere_behind_a_proxy_that_cuts_its_prefix_off_is_named(auth: Auth) -> None:
    async with client_of(starlette_at("/auth")(auth), root_path="/shop") as client:
        answer = await client.get("/auth/session")
    assert "is mounted at /auth," in body_of(answer, status=500)["message"]


async def test_middleware_still_guards_what_is_mounted_elsewhere(auth: Auth) -> None:
    email = await settle_administrator(auth)
    async with client_of(auth.app) as product:
        restricted = await sign_in(product, email, actor="admin")
    async with client_of(starlette_at("/auth")(auth)) as client:
        assert (await client.get("/auth/session", headers=restricted.bearer)).status_code == 403


async def test_pages_that_are_mounted_elsewhere_are_named(auth: Auth) -> None:
    host = Starlette(routes=[Mount("/me", auth.pages)])
    async with client_of(host) as client:
        answer = await client.get("/me/sign-in")
    assert body_of(answer, status=500)["message"] == (
        "Auth.pages is mounted at /me, but pages_path is /account: mount it at /account, or set pages_path to /me."
    )


async def test_middleware_inside_of_an_outer_mount_finds_the_application(auth: Auth) -> None:
    host = Starlette(routes=[Mount("/v2", starlette_at(BASE)(auth))])
    async with client_of(host) as client:
        client.base_url = client.base_url.copy_with(path="/v2")
        person = await sign_up(client)
        body_of(await client.get(f"{BASE}/session", headers=person.bearer), status=200)


@pytest.mark.parametrize("raw_path", [None, b"/sign-up/email"])
async def test_path_that_a_proxy_cut_off_is_none_of_the_hosts(auth: Auth, raw_path: bytes | None) -> None:
    """Nothing in such a request says where the application is."""

    async def cut(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(BASE)
        raw = None if raw_path is None else path.encode()
        await auth.app({**scope, "path": path, "raw_path": raw}, receive, send)  # type: ignore[arg-type]

    async with client_of(cut) as client:  # type: ignore[arg-type]
        await sign_up(client)
