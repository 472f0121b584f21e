"""The pages in a host application, and switched off."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from czo_auth import Auth, AuthMiddleware
from czo_auth.server import Server
from tests.contract.api import SESSION_COOKIE, new_client
from tests.support.settings import HERE, settings
from tests.web.conftest import Pages


async def _orders(_: Request) -> PlainTextResponse:
    return PlainTextResponse("orders")


async def test_a_host_mounts_the_pages_and_its_middleware_leaves_them_alone(pages: Pages) -> None:
    auth = pages.here.runtime
    host = Starlette(routes=[Route("/orders", _orders), Mount("/account", auth.pages)])
    host.add_middleware(AuthMiddleware, auth=auth)
    _, session = await pages.here.admin()
    cookie = {"cookie": f"{SESSION_COOKIE}={session.token}"}
    async with new_client(HERE, transport=httpx.ASGITransport(host)) as http:
        assert (await http.get("/account/sign-in")).status_code == 200
        assert (await http.get("/account/static/style.css")).status_code == 200
        assert (await http.get("/account/enrol", headers=cookie)).status_code == 200
        led = await http.get("/account/security", headers=cookie)
        assert led.headers["location"] == "/account/enrol"
        assert (await http.get("/orders", headers=cookie)).status_code == 403


async def test_where_no_pages_are_mounted_their_path_is_the_hosts(pages: Pages) -> None:
    auth = pages.here.runtime
    auth.own_paths.pop("/account", None)
    host = Starlette(routes=[Route("/account/orders", _orders)])
    host.add_middleware(AuthMiddleware, auth=auth)
    _, session = await pages.here.admin()
    cookie = {"cookie": f"{SESSION_COOKIE}={session.token}"}
    async with new_client(HERE, transport=httpx.ASGITransport(host)) as http:
        assert (await http.get("/account/orders", headers=cookie)).status_code == 403


@pytest.mark.parametrize("enabled", [True, False])
async def test_mails_point_at_the_pages_when_there_are_some(tmp_path: Path, *, enabled: bool) -> None:
    auth = Auth(settings(f"sqlite:///{tmp_path / 'd.sqlite3'}", pages_enabled=enabled))
    links = auth.services.links
    if enabled:
        assert links.to_page(links.reset_password, "t") == f"{HERE}/account/reset-password?token=t"
        assert links.to_page(links.accept_invitation, "t") == f"{HERE}/account/accept-invitation?token=t"
        assert links.to_page(links.verify_email, "t") == f"{HERE}/account/verify-email?token=t"
    else:
        assert links.to_page(links.verify_email, "t") == f"{HERE}/api/auth/verify-email?token=t"
    async with new_client(HERE, transport=httpx.ASGITransport(Server(auth))) as http:
        assert (await http.get("/account/sign-in")).status_code == (200 if enabled else 404)
        assert (await http.get("/")).status_code == (303 if enabled else 404)
    await auth.stop()
