"""Guards that ask for a role, for an organization of the path, and for a fresh proof, in each of the five hosts."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from typing import Any

import django  # type: ignore[import-untyped]
import httpx
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
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from czo_auth import Auth, AuthMiddleware, Principal, Settings
from czo_auth.core.errors import ReauthenticationRequired
from czo_auth.core.ids import new_id
from czo_auth.crypto.sealing import new_key_text
from czo_auth.integrations import django as for_django
from czo_auth.integrations import flask as for_flask
from czo_auth.integrations import litestar as for_litestar
from czo_auth.integrations import starlette as for_starlette
from czo_auth.testing.clock import MovableClock
from tests.integrations.acting import BASE, Person, body_of, create_key, enroll, refused, sign_up
from tests.integrations.raw import client_of


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


def deployment(url: str, clock: MovableClock) -> Auth:
    settings = Settings(
        database_url=url,
        encryption_key=SecretStr(new_key_text()),
        base_url="http://shop.test",
        rate_limit_enabled=False,
    )
    return Auth(settings, clock=clock)


@pytest.fixture
async def auth(migrated_sqlite_url: str, clock: MovableClock) -> AsyncIterator[Auth]:
    auth = deployment(migrated_sqlite_url, clock)
    yield auth
    await auth.stop()


@pytest.fixture
async def auth_on_postgresql(migrated_postgres_url: str, clock: MovableClock) -> AsyncIterator[Auth]:
    auth = deployment(migrated_postgres_url, clock)
    yield auth
    await auth.stop()


def shown(principal: Principal | None) -> dict[str, str | None]:
    assert principal is not None
    return {"organization": principal.organization_id, "role": principal.organization_role}


def fastapi_host(auth: Auth) -> ASGIApp:
    app = FastAPI()
    app.mount(BASE, auth.app)
    app.add_middleware(AuthMiddleware, auth=auth)

    admin = auth.require(role="admin")
    admin_of_path = auth.require(role="admin", organization_parameter="organization_id")
    fresh = auth.require(fresh_minutes=10)

    @app.get("/orders")
    async def orders(who: Principal = Depends(admin)) -> dict[str, str | None]:
        return shown(who)

    @app.get("/shops/{organization_id}/orders")
    async def of_path(
        who: Principal = Depends(admin_of_path),
    ) -> dict[str, str | None]:
        return shown(who)

    @app.get("/sensitive")
    async def sensitive(who: Principal = Depends(fresh)) -> dict[str, str | None]:
        return shown(who)

    return app


def starlette_host(auth: Auth) -> ASGIApp:
    @for_starlette.requires(role="admin")
    async def orders(request: Request) -> JSONResponse:
        return JSONResponse(shown(for_starlette.principal_of(request)))

    # Not async: runs in a thread, and waits there for the database.
    @for_starlette.requires(role="admin", organization_parameter="organization_id")
    def of_path(request: Request) -> JSONResponse:
        return JSONResponse(shown(for_starlette.principal_of(request)))

    @for_starlette.requires(fresh_minutes=10)
    async def sensitive(request: Request) -> JSONResponse:
        return JSONResponse(shown(for_starlette.principal_of(request)))

    routes = [
        Mount(BASE, auth.app),
        Route("/orders", orders),
        Route("/shops/{organization_id}/orders", of_path),
        Route("/sensitive", sensitive),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(AuthMiddleware, auth=auth)
    return app


def litestar_host(auth: Auth) -> ASGIApp:
    def show(request: LitestarRequest[Any, Any, Any]) -> dict[str, str | None]:
        return shown(for_litestar.principal_of(request))

    handlers = [
        get("/orders", guards=[for_litestar.requires(role="admin")], sync_to_thread=False)(show),
        get(
            "/shops/{organization_id:str}/orders",
            guards=[for_litestar.requires(role="admin", organization_parameter="organization_id")],
            sync_to_thread=False,
        )(show),
        get("/sensitive", guards=[for_litestar.requires(fresh_minutes=10)], sync_to_thread=False)(show),
    ]
    host = Litestar(handlers, plugins=[for_litestar.CzoAuth(auth)])
    return AuthMiddleware(host, auth=auth)  # type: ignore[arg-type]


def django_urls(is_async: bool) -> list[Any]:
    async def show_async(request: HttpRequest, **_: str) -> JsonResponse:
        return JsonResponse(shown(request.czo_principal))

    def show(request: HttpRequest, **_: str) -> JsonResponse:
        return JsonResponse(shown(request.czo_principal))

    view = show_async if is_async else show
    of_path = for_django.requires(role="admin", organization_parameter="organization_id")
    return [
        path("orders", for_django.requires(role="admin")(view)),
        path("shops/<organization_id>/orders", of_path(view)),
        path("sensitive", for_django.requires(fresh_minutes=10)(view)),
    ]


def django_host(auth: Auth, *, is_async: bool) -> ASGIApp:
    if not django_settings.configured:
        django_settings.configure(
            ALLOWED_HOSTS=["shop.test"],
            MIDDLEWARE=["czo_auth.integrations.django.principal_middleware"],
            LOGGING_CONFIG=None,
        )
        django.setup()
    urls = ModuleType(f"guards_urls_{is_async}")
    urls.urlpatterns = django_urls(is_async)  # type: ignore[attr-defined]
    sys.modules[urls.__name__] = urls

    application = for_django.with_auth(get_asgi_application(), auth)

    async def with_own_urls(scope: Any, receive: Any, send: Any) -> None:
        with override_settings(ROOT_URLCONF=urls.__name__):
            await application(scope, receive, send)

    return with_own_urls


def flask_host(auth: Auth) -> ASGIApp:
    app = Flask("shop")

    @app.get("/orders")
    @for_flask.requires(role="admin")
    def orders() -> dict[str, str | None]:
        return shown(for_flask.principal_of())

    @app.get("/shops/<organization_id>/orders")
    @for_flask.requires(role="admin", organization_parameter="organization_id")
    def of_path(organization_id: str) -> dict[str, str | None]:
        return shown(for_flask.principal_of())

    @app.get("/sensitive")
    @for_flask.requires(fresh_minutes=10)
    def sensitive() -> dict[str, str | None]:
        return shown(for_flask.principal_of())

    return for_flask.with_auth(app, auth)


HOSTS: dict[str, Callable[[Auth], ASGIApp]] = {
    "fastapi": fastapi_host,
    "starlette": starlette_host,
    "litestar": litestar_host,
    "django": lambda auth: django_host(auth, is_async=False),
    "django-async": lambda auth: django_host(auth, is_async=True),
    "flask": flask_host,
}


async def new_shop(client: httpx.AsyncClient, owner: Person, name: str) -> str:
    answer = await client.post(f"{BASE}/organizations", json={"name": name}, headers=owner.bearer)
    found: str = body_of(answer, status=201)["organization"]["id"]
    return found


async def join(
    auth: Auth, client: httpx.AsyncClient, organization_id: str, person: Person, role: str
) -> None:
    who = body_of(await client.get(f"{BASE}/whoami", headers=person.bearer), status=200)["userId"]
    added = await auth.services.transactions.run(
        lambda tx: tx.organizations.add_member(
            new_id(auth.now()),
            organization_id=organization_id,
            user_id=who,
            role=role,
            now=auth.now(),
        )
    )
    assert added


@pytest.mark.parametrize("host", HOSTS)
async def test_role_counts_in_the_active_organization_or_in_that_of_the_path(auth: Auth, host: str) -> None:
    await check_roles(auth, host)


@pytest.mark.parametrize("host", ["fastapi", "flask"])
async def test_role_counts_on_postgresql_too(auth_on_postgresql: Auth, host: str) -> None:
    await check_roles(auth_on_postgresql, host)


async def check_roles(auth: Auth, host: str) -> None:
    async with client_of(HOSTS[host](auth)) as client:
        owner, member, stranger = [await sign_up(client) for _ in range(3)]
        first, second = [await new_shop(client, owner, name) for name in ("First", "Second")]
        await join(auth, client, first, member, "member")
        await join(auth, client, second, member, "admin")
        for person, shop, status in (
            *((owner, first, 200), (owner, second, 200), (member, second, 200)),
            *((member, first, 403), (stranger, first, 403), (owner, "nothing", 403)),
        ):
            answer = await client.get(f"/shops/{shop}/orders", headers=person.bearer)
            assert answer.status_code == status, (shop, answer.text)
            if status == 200:
                assert answer.json()["organization"] == shop
        refused(
            await client.get(f"/shops/{first}/orders", headers=member.bearer), status=403, code="FORBIDDEN"
        )
        answer = await client.get(f"/shops/{first}/orders", headers=stranger.bearer)
        refused(answer, status=403, code="ORGANIZATION_SCOPE_MISMATCH")
        refused(await client.get(f"/shops/{first}/orders"), status=401, code="UNAUTHORIZED")

        answer = await client.get("/orders", headers=stranger.bearer)
        refused(answer, status=403, code="ORGANIZATION_SCOPE_MISMATCH")
        for shop, status in ((first, 403), (second, 200)):
            activated = await client.post(f"{BASE}/organizations/{shop}/activate", headers=member.bearer)
            assert activated.status_code == 200
            answer = await client.get("/orders", headers=member.bearer)
            assert answer.status_code == status, answer.text


@pytest.mark.parametrize("host", HOSTS)
async def test_fresh_proof_grows_old(auth: Auth, clock: MovableClock, host: str) -> None:
    async with client_of(HOSTS[host](auth)) as client:
        person = await sign_up(client)
        _, key = await create_key(client, person, scopes=[])
        refused(await client.get("/sensitive", headers=key), status=403, code="SESSION_REQUIRED")
        assert (await client.get("/sensitive", headers=person.bearer)).status_code == 200
        clock.move(timedelta(minutes=11))
        refused(
            await client.get("/sensitive", headers=person.bearer),
            status=403,
            code="REAUTHENTICATION_REQUIRED",
        )


async def test_key_acts_in_its_own_organization_alone(auth: Auth) -> None:
    async with client_of(fastapi_host(auth)) as client:
        owner = await sign_up(client)
        first, second = [await new_shop(client, owner, name) for name in ("First", "Second")]
        body = {"name": "robot", "organizationId": first}
        answer = await client.post(f"{BASE}/api-keys", json=body, headers=owner.bearer)
        key = {"authorization": f"Bearer {body_of(answer, status=201)['apiKey']['key']}"}
        _, unbound = await create_key(client, owner, scopes=[])
        assert (await client.get(f"/shops/{first}/orders", headers=key)).status_code == 200
        for shop, headers in ((second, key), (first, unbound)):
            answer = await client.get(f"/shops/{shop}/orders", headers=headers)
            refused(answer, status=403, code="ORGANIZATION_SCOPE_MISMATCH")


async def test_fresh_proof_is_of_the_second_factor_too(auth: Auth) -> None:
    """As of a browser that was trusted, and so skipped the second step."""
    async with client_of(fastapi_host(auth)) as client:
        person = await enroll(client, await sign_up(client))
    principal = await auth.authenticate.session_token(person.session_token, now=auth.now())
    assert principal.has_factor
    principal.require_fresh(timedelta(minutes=1), now=auth.now())
    for proved_at in (None, auth.now() - timedelta(minutes=2)):
        with pytest.raises(ReauthenticationRequired):
            replace(principal, factor_proved_at=proved_at).require_fresh(timedelta(minutes=1), now=auth.now())


@pytest.mark.parametrize(
    ("demands", "sentence"),
    [
        ({"scopes": "orders:read"}, "scopes is a list"),
        ({"scopes": ["orders.read"]}, "resource:action"),
        ({"scopes": ["orders:read", "orders"]}, "resource:action"),
        ({"actor": "custommer"}, "did you mean 'customer'"),
        ({"actor": "pirate"}, "no actor type is called 'pirate'"),
        ({"aal": 3}, "aal is 1 or 2"),
        ({"aal": 0}, "aal is 1 or 2"),
        ({"role": "boss"}, "not a role"),
        ({"fresh_minutes": 0}, "at least 1"),
        ({"organization_id": "x", "organization_parameter": "y"}, "exclude each other"),
        ({"acter": "customer"}, "acter"),
        ({"scopes": [1]}, "scopes holds texts, not 1"),
        ({"role": ["admin", "owner"]}, "role is one text"),
        ({"organization_parameter": ("shop",)}, "organization_parameter is one text"),
        ({"fresh_minutes": "10"}, "fresh_minutes is a number of minutes, not '10'"),
        ({"service_accounts": "no"}, "service_accounts is True or False, not 'no'"),
        ({"phishing_resistant": 0}, "phishing_resistant is True or False"),
    ],
)
def test_guard_that_nobody_could_meet_is_refused_when_it_is_made(
    auth: Auth, demands: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        auth.require(**demands)
    if "actor" not in demands:
        for module in (for_starlette, for_django, for_flask, for_litestar):
            with pytest.raises((TypeError, ValueError), match=sentence):
                module.requires(**demands)


async def test_guard_of_another_deployment_is_refused(auth: Auth) -> None:
    other = Auth(auth.settings)
    app = FastAPI()
    app.mount(BASE, auth.app)
    app.add_middleware(AuthMiddleware, auth=auth)

    of_another, without_parameter = other.require(), auth.require(organization_parameter="shop")

    @app.get("/orders")
    async def orders(who: Principal = Depends(of_another)) -> None: ...

    @app.get("/named")
    async def named(who: Principal = Depends(without_parameter)) -> None: ...

    async with client_of(app) as client:
        person = await sign_up(client)
        with pytest.raises(RuntimeError, match="another Auth"):
            await client.get("/orders", headers=person.bearer)
        with pytest.raises(RuntimeError, match="no parameter 'shop'"):
            await client.get("/named", headers=person.bearer)
