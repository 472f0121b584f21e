"""Where OAuth clients look for the endpoints (RFC 8414), at the root of each of the five frameworks."""

from __future__ import annotations

import sys
from pathlib import Path

import django  # type: ignore[import-untyped]
import pytest
from django.conf import settings as django_settings  # type: ignore[import-untyped]
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from django.test.utils import override_settings  # type: ignore[import-untyped]
from fastapi import FastAPI
from flask import Flask
from litestar import Litestar
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from czo_auth import Auth, AuthMiddleware, Settings
from czo_auth.crypto.sealing import new_key_text
from czo_auth.integrations import django as for_django
from czo_auth.integrations import flask as for_flask
from czo_auth.integrations.litestar import CzoAuth
from czo_auth.server import Server
from tests.integrations.acting import BASE, body_of, refused
from tests.integrations.raw import client_of

WELL_KNOWN = "/.well-known/oauth-authorization-server"
urlpatterns: list[object] = []


def fastapi_host(auth: Auth) -> ASGIApp:
    app = FastAPI(lifespan=auth.lifespan())
    app.mount(BASE, auth.app)
    app.add_route(auth.oauth_metadata.path, auth.oauth_metadata)  # type: ignore[arg-type]
    app.add_middleware(AuthMiddleware, auth=auth)
    return app


def starlette_host(auth: Auth) -> ASGIApp:
    app = Starlette(routes=[Route(auth.oauth_metadata.path, auth.oauth_metadata), Mount(BASE, auth.app)])
    return AuthMiddleware(app, auth=auth)


def litestar_host(auth: Auth) -> ASGIApp:
    app = AuthMiddleware(Litestar([], plugins=[CzoAuth(auth)]), auth=auth)  # type: ignore[arg-type]
    return auth.oauth_metadata.around(app)


def django_host(auth: Auth) -> ASGIApp:
    if not django_settings.configured:
        django_settings.configure(
            ALLOWED_HOSTS=["shop.test"],
            MIDDLEWARE=["czo_auth.integrations.django.principal_middleware"],
            LOGGING_CONFIG=None,
        )
        django.setup()
    application: ASGIApp = get_asgi_application()

    async def with_own_urls(scope: Scope, receive: Receive, send: Send) -> None:
        with override_settings(ROOT_URLCONF=sys.modules[__name__]):
            await application(scope, receive, send)

    return auth.oauth_metadata.around(for_django.with_auth(with_own_urls, auth))


def flask_host(auth: Auth) -> ASGIApp:
    return auth.oauth_metadata.around(for_flask.with_auth(Flask("shop"), auth))


HOSTS = [fastapi_host, starlette_host, litestar_host, django_host, flask_host, Server]


def deployment(folder: Path, **chosen: object) -> Auth:
    settings = {
        "data_dir": folder,
        "encryption_key": SecretStr(new_key_text()),
        "base_url": "http://shop.test",
        **chosen,
    }
    return Auth(Settings.model_validate(settings))


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    ("issuer", "path"),
    [
        (None, WELL_KNOWN),
        ("http://shop.test/", WELL_KNOWN),
        ("http://shop.test/tenants/7", f"{WELL_KNOWN}/tenants/7"),
    ],
)
async def test_clients_find_the_endpoints_from_the_issuer(
    tmp_path: Path, host: type[Server], issuer: str | None, path: str
) -> None:
    auth = deployment(tmp_path, **({"issuer": issuer} if issuer else {}))
    async with client_of(host(auth)) as client:
        answer = await client.get(path)
        described = body_of(answer, status=200)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert described == body_of(await client.get(f"{BASE}{WELL_KNOWN}"), status=200)
        # RFC 8414 section 3.3: both are the same text, or the client refuses it.
        assert described["issuer"] == (issuer or "http://shop.test")
        assert described["token_endpoint"] == f"http://shop.test{BASE}/token"
        assert body_of(await client.get(described["jwks_uri"]), status=200)["keys"]
        head = await client.head(path)
        assert (head.status_code, head.headers["content-length"]) == (200, answer.headers["content-length"])
        assert (await client.options(path)).status_code in (200, 204)
        for elsewhere in (f"{path}/x", f"{path}x"):
            assert (await client.get(elsewhere)).status_code in (404, 307)
    await auth.stop()


async def test_it_is_public_where_everything_else_asks_for_a_credential(auth: Auth) -> None:
    app = AuthMiddleware(Starlette(), auth=auth, required=True)
    async with client_of(auth.oauth_metadata.around(app)) as client:
        body_of(await client.get(WELL_KNOWN), status=200)
        refused(await client.get("/"), status=401, code="UNAUTHORIZED")
        refused(await client.post(WELL_KNOWN), status=405, code="METHOD_NOT_ALLOWED")
