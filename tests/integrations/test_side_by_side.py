"""czo-auth beside Django, Flask and plain WSGI."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import django  # type: ignore[import-untyped]
import pytest
from django.conf import settings as django_settings  # type: ignore[import-untyped]
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from django.http import HttpRequest, JsonResponse  # type: ignore[import-untyped]
from django.test.utils import override_settings  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]
from django.views import View  # type: ignore[import-untyped]
from flask import Flask
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from czo_auth import Auth, Refusal, Settings
from czo_auth.crypto.sealing import new_key_text
from czo_auth.integrations import django as for_django
from czo_auth.integrations import flask as for_flask
from tests.integrations.acting import BASE, body_of, create_key, refused, sign_up
from tests.integrations.raw import alive, client_of


# --- Django ----------------------------------------------------------------------------------------------------------
def kind(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"kind": request.czo_principal.kind if request.czo_principal else None})


@for_django.requires(scopes=["orders:read"])
def function(request: HttpRequest) -> JsonResponse:
    return kind(request)


@for_django.requires(scopes=["orders:read"])
async def coroutine(request: HttpRequest) -> JsonResponse:
    return kind(request)


class Orders(View):  # type: ignore[misc]
    def get(self, request: HttpRequest, number: int) -> JsonResponse:
        assert number == 7
        return kind(request)


class AsyncOrders(View):  # type: ignore[misc]
    async def get(self, request: HttpRequest) -> JsonResponse:
        return kind(request)


def own_decision(request: HttpRequest) -> JsonResponse:
    request.czo_principal.require(aal=2)
    return JsonResponse({})


def fault(_: HttpRequest) -> JsonResponse:
    raise ZeroDivisionError


urlpatterns = [
    path("", kind),
    path("function", function),
    path("coroutine", coroutine),
    path("class/<int:number>", for_django.requires(scopes=["orders:read"])(Orders.as_view())),
    path("async-class", for_django.requires(scopes=["orders:read"])(AsyncOrders.as_view())),
    path("own-decision", own_decision),
    path("fault", fault),
]


@pytest.fixture(scope="module")
def django_application() -> ASGIApp:
    if not django_settings.configured:
        django_settings.configure(
            ALLOWED_HOSTS=["shop.test"],
            MIDDLEWARE=["czo_auth.integrations.django.principal_middleware"],
            LOGGING_CONFIG=None,
        )
        django.setup()
    application: ASGIApp = get_asgi_application()

    async def with_own_urls(scope: Scope, receive: Receive, send: Send) -> None:
        # Django's settings are one for the process, and other modules of tests have views as well.
        with override_settings(ROOT_URLCONF=sys.modules[__name__]):
            await application(scope, receive, send)

    return with_own_urls


@pytest.mark.parametrize("root_path", ["", "/shop", "/admin"])
async def test_every_kind_of_django_view_is_guarded(
    auth: Auth, django_application: ASGIApp, root_path: str
) -> None:
    app = for_django.with_auth(django_application, auth)
    async with client_of(app, root_path=root_path) as client:
        client.base_url = client.base_url.copy_with(path=root_path)
        person = await sign_up(client)
        _, reads = await create_key(client, person, scopes=["orders:read"])
        _, nothing = await create_key(client, person, scopes=[])
        for at in ("/function", "/coroutine", "/class/7", "/async-class"):
            refused(await client.get(at), status=401, code="UNAUTHORIZED")
            refused(await client.get(at, headers=nothing), status=403, code="INSUFFICIENT_SCOPE")
            assert body_of(await client.get(at, headers=reads), status=200) == {"kind": "api_key"}
        assert body_of(await client.get("/"), status=200) == {"kind": None}
        assert body_of(await client.get("/", headers=person.bearer), status=200) == {"kind": "session"}
        body_of(await client.get(f"{BASE}/session", headers=person.bearer), status=200)
        refused(await client.get(f"{BASE}/admin/users", headers=person.bearer), status=403, code="FORBIDDEN")


async def test_refusal_of_a_django_view_is_answered_and_a_fault_is_djangos(
    auth: Auth, django_application: ASGIApp
) -> None:
    async with client_of(for_django.with_auth(django_application, auth)) as client:
        person = await sign_up(client)
        answer = await client.get("/own-decision", headers=person.bearer)
        refused(answer, status=403, code="TWO_FACTOR_REQUIRED")
        fault = await client.get("/fault")
        assert (fault.status_code, fault.headers["content-type"]) == (500, "text/html; charset=utf-8")


async def test_django_without_it_around_lets_nobody_in(django_application: ASGIApp) -> None:
    async with client_of(django_application) as client:
        assert (await client.get("/function")).status_code == 500


# --- Flask and WSGI --------------------------------------------------------------------------------------------------
def flask_shop(auth: Auth) -> ASGIApp:
    app = Flask("shop")
    app.register_error_handler(Refusal, for_flask.refused)

    @app.get("/")
    def front() -> dict[str, str | None]:
        principal = for_flask.principal_of()
        return {"kind": principal.kind if principal else None}

    @app.get("/function/<int:number>")
    @for_flask.requires(scopes=["orders:read"])
    def function(number: int) -> dict[str, int]:
        return {"number": number}

    @app.get("/own-decision")
    def own_decision() -> dict[str, str]:
        principal = for_flask.principal_of()
        assert principal is not None
        principal.require(aal=2)
        return {}

    @app.get("/fault")
    def fault() -> dict[str, str]:
        raise ZeroDivisionError

    app.logger.disabled = True
    return for_flask.with_auth(app, auth)


@pytest.mark.parametrize("root_path", ["", "/shop", "/admin"])
async def test_flask_views_are_guarded(auth: Auth, root_path: str) -> None:
    async with client_of(flask_shop(auth), root_path=root_path) as client:
        client.base_url = client.base_url.copy_with(path=root_path)
        person = await sign_up(client)
        _, reads = await create_key(client, person, scopes=["orders:read"])
        _, nothing = await create_key(client, person, scopes=[])
        refused(await client.get("/function/7"), status=401, code="UNAUTHORIZED")
        refused(await client.get("/function/7", headers=nothing), status=403, code="INSUFFICIENT_SCOPE")
        assert body_of(await client.get("/function/7", headers=reads), status=200) == {"number": 7}
        assert body_of(await client.get("/"), status=200) == {"kind": None}
        assert body_of(await client.get("/", headers=person.bearer), status=200) == {"kind": "session"}
        answer = await client.get("/own-decision", headers=person.bearer)
        refused(answer, status=403, code="TWO_FACTOR_REQUIRED")
        assert (await client.get("/fault")).status_code == 500
        body_of(await client.get(f"{BASE}/session", headers=person.bearer), status=200)


async def test_plain_wsgi_application_learns_who_calls(auth: Auth) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        principal = for_flask.principal_of(environ)
        start_response("200 OK", [("content-type", "application/json")])
        return [json.dumps(principal.kind if principal else None).encode()]

    async with client_of(for_flask.with_auth(application, auth, threads=2)) as client:
        person = await sign_up(client)
        assert body_of(await client.get("/"), status=200) is None
        assert body_of(await client.get("/", headers=person.bearer), status=200) == "session"


def test_wsgi_without_it_around_lets_nobody_in() -> None:
    with pytest.raises(RuntimeError, match="AuthMiddleware"):
        for_flask.principal_of({})


# --- life ------------------------------------------------------------------------------------------------------------
async def test_lifespan_starts_and_stops_it(auth: Auth) -> None:
    started = []
    async with alive(flask_shop(auth)):
        started.append(auth.is_started)
    started.append(auth.is_started)
    assert started == [True, False]


async def test_start_that_is_refused_stops_the_server_with_its_reason(tmp_path: Path) -> None:
    def deployment() -> Auth:
        key = SecretStr(new_key_text())
        return Auth(Settings(database_url=f"sqlite:///{tmp_path / 'auth.db'}", encryption_key=key))

    first, other_key = deployment(), deployment()
    await first.start()
    await first.stop()
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    await flask_shop(other_key)({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
    await other_key.stop()
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "AUTH_ENCRYPTION_KEY" in sent[0]["message"]
