"""Guards refuse service accounts unless they say that they take them, in each of the five hosts (S38)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import django  # type: ignore[import-untyped]
import pytest
from django.conf import settings as django_settings  # type: ignore[import-untyped]
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from django.http import HttpRequest, JsonResponse  # type: ignore[import-untyped]
from django.test.utils import override_settings  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]
from fastapi import Depends, FastAPI
from flask import Flask
from litestar import Litestar, get
from litestar import Request as LitestarRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from czo_auth import Auth, AuthMiddleware, Principal
from czo_auth.core.errors import UserRequired
from czo_auth.integrations import django as for_django
from czo_auth.integrations import flask as for_flask
from czo_auth.integrations import litestar as for_litestar
from czo_auth.integrations import starlette as for_starlette
from tests.integrations.acting import BASE, body_of, create_key, refused, sign_up
from tests.integrations.raw import client_of

SCOPES = ["orders:read"]


def shown(principal: Principal | None) -> dict[str, str | None]:
    """Give who acts; where nobody does, nothing."""
    if principal is None:
        return {}
    return {"user": principal.user_id, "account": principal.service_account_id}


def fastapi_host(auth: Auth) -> ASGIApp:
    app = FastAPI()
    app.mount(BASE, auth.app)
    app.add_middleware(AuthMiddleware, auth=auth)
    users, machines = auth.require(scopes=SCOPES), auth.require(scopes=SCOPES, service_accounts=True)

    @app.get("/users")
    async def for_users(who: Principal = Depends(users)) -> dict[str, str | None]:
        return shown(who)

    @app.get("/machines")
    async def for_machines(who: Principal = Depends(machines)) -> dict[str, str | None]:
        return shown(who)

    @app.get("/unguarded")
    async def unguarded(request: Request) -> dict[str, str | None]:
        return shown(for_starlette.principal_of(request))

    return app


def starlette_host(auth: Auth) -> ASGIApp:
    async def show(request: Request) -> JSONResponse:
        return JSONResponse(shown(for_starlette.principal_of(request)))

    routes = [
        Mount(BASE, auth.app),
        Route("/users", for_starlette.requires(scopes=SCOPES)(show)),
        Route("/machines", for_starlette.requires(scopes=SCOPES, service_accounts=True)(show)),
        Route("/unguarded", show),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(AuthMiddleware, auth=auth)
    return app


def litestar_host(auth: Auth) -> ASGIApp:
    def show(request: LitestarRequest[Any, Any, Any]) -> dict[str, str | None]:
        return shown(for_litestar.principal_of(request))

    requires = for_litestar.requires
    handlers = [
        get("/users", guards=[requires(scopes=SCOPES)], sync_to_thread=False)(show),
        get("/machines", guards=[requires(scopes=SCOPES, service_accounts=True)], sync_to_thread=False)(show),
        get("/unguarded", sync_to_thread=False)(show),
    ]
    host = Litestar(handlers, plugins=[for_litestar.CzoAuth(auth)])
    return AuthMiddleware(host, auth=auth)  # type: ignore[arg-type]


def django_host(auth: Auth) -> ASGIApp:
    if not django_settings.configured:
        django_settings.configure(
            ALLOWED_HOSTS=["shop.test"],
            MIDDLEWARE=["czo_auth.integrations.django.principal_middleware"],
            LOGGING_CONFIG=None,
        )
        django.setup()

    def show(request: HttpRequest) -> JsonResponse:
        return JsonResponse(shown(request.czo_principal))

    requires = for_django.requires
    urls = ModuleType("service_account_urls")
    urls.urlpatterns = [  # type: ignore[attr-defined]
        path("users", requires(scopes=SCOPES)(show)),
        path("machines", requires(scopes=SCOPES, service_accounts=True)(show)),
        path("unguarded", show),
    ]
    sys.modules[urls.__name__] = urls
    application = for_django.with_auth(get_asgi_application(), auth)

    async def with_own_urls(scope: Any, receive: Any, send: Any) -> None:
        with override_settings(ROOT_URLCONF=urls.__name__):
            await application(scope, receive, send)

    return with_own_urls


def flask_host(auth: Auth) -> ASGIApp:
    app = Flask("shop")

    def show() -> dict[str, str | None]:
        return shown(for_flask.principal_of())

    requires = for_flask.requires
    app.add_url_rule("/users", "users", requires(scopes=SCOPES)(show))
    app.add_url_rule("/machines", "machines", requires(scopes=SCOPES, service_accounts=True)(show))

    @app.get("/unguarded")
    def unguarded() -> Any:
        try:
            return show()
        except UserRequired as refusal:
            return for_flask.refused(refusal)

    return for_flask.with_auth(app, auth)


HOSTS: dict[str, Callable[[Auth], ASGIApp]] = {
    "fastapi": fastapi_host,
    "starlette": starlette_host,
    "litestar": litestar_host,
    "django": django_host,
    "flask": flask_host,
}


@pytest.mark.parametrize("host", HOSTS)
async def test_a_service_account_passes_the_guards_that_ask_for_it_and_no_others(
    auth: Auth, host: str
) -> None:
    async with client_of(HOSTS[host](auth)) as client:
        owner = await sign_up(client)
        answer = await client.post(f"{BASE}/organizations", json={"name": "Acme"}, headers=owner.bearer)
        organization = body_of(answer, status=201)["organization"]["id"]
        account = await auth.service_accounts.create(organization, name="pipeline", scopes=SCOPES)
        made = await auth.service_accounts.create_api_key(organization, account.id, name="ci", scopes=SCOPES)
        machine = {"authorization": f"Bearer {made.key}"}
        _, person = await create_key(client, owner, scopes=SCOPES)
        refused(await client.get("/users", headers=machine), status=403, code="USER_REQUIRED")
        assert body_of(await client.get("/machines", headers=machine), status=200) == {
            "user": None,
            "account": account.id,
        }
        assert body_of(await client.get("/users", headers=person), status=200)["user"] is not None
        assert body_of(await client.get("/machines", headers=person), status=200)["account"] is None
        unguarded = await client.get("/unguarded", headers=machine)
        if host == "django":
            assert body_of(unguarded, status=200) == {}
        else:
            refused(unguarded, status=403, code="USER_REQUIRED")


async def test_a_proved_token_is_a_service_account_only_where_that_is_asked_for(auth: Auth) -> None:
    await auth.start()
    async with client_of(starlette_host(auth)) as client:
        owner = await sign_up(client)
        answer = await client.post(f"{BASE}/organizations", json={"name": "Acme"}, headers=owner.bearer)
        organization = body_of(answer, status=201)["organization"]["id"]
    account = await auth.service_accounts.create(organization, name="pipeline", scopes=SCOPES)
    made = await auth.service_accounts.create_api_key(organization, account.id, name="ci", scopes=SCOPES)
    with pytest.raises(UserRequired):
        await auth.authenticate_token(made.key)
    principal = await auth.authenticate_token(made.key, service_accounts=True)
    assert (principal.user_id, principal.service_account_id) == (None, account.id)
    rotated = await auth.api_keys.rotate(made.api_key.id)
    assert rotated.api_key.service_account_id == account.id
    await auth.service_accounts.set_enabled(organization, account.id, enabled=False)
    assert not (await auth.service_accounts.list(organization)).items[0].enabled
