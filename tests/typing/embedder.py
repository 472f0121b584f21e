"""What an embedder writes, checked and never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, assert_type

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from litestar import Litestar, get
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from czo_auth import (
    ActorType,
    ApiKey,
    Auth,
    AuthMiddleware,
    CreatedApiKey,
    Event,
    Member,
    Organization,
    Page,
    Principal,
    Refusal,
    Session,
    Settings,
    StartRefused,
    UserRecord,
)
from czo_auth.integrations import litestar as for_litestar
from czo_auth.integrations.flask import with_auth
from czo_auth.integrations.side_by_side import SideBySide
from czo_auth.integrations.starlette import principal_of, refused, requires
from czo_auth.testing import AuthHost, Machine, MovableClock, Person, hosted


def scope_rule(actor_types: frozenset[str], organization_role: str | None) -> set[str]:
    return {"orders:read"} if "customer" in actor_types or organization_role == "owner" else set()


settings = Settings(
    encryption_key=SecretStr("key"),
    environment="production",
    base_url="https://shop.example",
    data_dir=Path("data"),
    trusted_origins=("https://www.shop.example",),
    actor_types=(ActorType(name="customer", sign_up_open=True), ActorType(name="staff", administers=True)),
    scope_rule=scope_rule,
    totp_drift=2,
)
Settings(scope_rule={"customer": ["orders:read"], "org:owner": frozenset({"orders:*"})})


class Sink:
    name = "warehouse"

    async def deliver(self, event: Event) -> None:
        assert_type(event.user_id, str | None)


auth = Auth(settings, clock=lambda: datetime.now(UTC) + timedelta(0), sinks=[Sink()])
Auth()


# --- events ----------------------------------------------------------------------------------------------------------
@auth.on("auth.2fa.enabled")
async def tell(event: Event) -> None:
    assert_type(event.type, str)
    assert_type(event.at, datetime)


@auth.on("auth.apikey.*")
def count(event: Event) -> None:
    assert_type(event.id, str)


auth.on("*")(tell)
counted: Callable[[Event], None] = count


# --- FastAPI ---------------------------------------------------------------------------------------------------------
@asynccontextmanager
async def own_lifespan(_: FastAPI) -> AsyncIterator[dict[str, int]]:
    yield {"till": 1}


app = FastAPI(lifespan=auth.lifespan(own_lifespan))
FastAPI(lifespan=auth.lifespan())
app.mount("/api/auth", auth.app)
app.mount("/graphql", auth.graphql)
app.add_middleware(AuthMiddleware, auth=auth)
app.add_middleware(AuthMiddleware, auth=auth, required=True)
app.add_exception_handler(Refusal, refused)
router = APIRouter(dependencies=[Depends(auth.require(actor="admin", scopes=["orders:read"], aal=2))])

need = auth.require(scopes={"orders:read"}, organization_id="some")
assert_type(need, Callable[[HTTPConnection], Awaitable[Principal]])
Reader = Annotated[Principal, Depends(need)]


@app.get("/orders")
async def orders(reader: Reader, other: Principal = Depends(need)) -> dict[str, str]:
    assert_type(reader.kind, Literal["session", "api_key"])
    assert_type(reader.organization_id, str | None)
    assert_type(reader.scopes, tuple[str, ...])
    assert_type(reader.has_scope("orders:write"), bool)
    other.require(aal=2)
    return {"for": reader.require_user()}


@app.get("/")
def front(request: Request) -> str:
    visitor = principal_of(request)
    assert_type(visitor, Principal | None)
    return visitor.require_user() if visitor else "nobody"


# --- Starlette, Litestar and WSGI ------------------------------------------------------------------------------------
@requires(scopes=["orders:read"])
async def listed(request: Request) -> JSONResponse:
    return JSONResponse(request.url.path)


endpoint: Callable[[Request], Coroutine[Any, Any, JSONResponse]] = listed
Starlette(
    routes=[Mount("/api/auth", auth.app), Route("/orders", listed)],
    middleware=[Middleware(AuthMiddleware, auth=auth)],
    lifespan=auth.lifespan(),
)


@get("/orders", guards=[for_litestar.requires(actor="merchant", aal=2)])
async def guarded() -> None:
    return None


Litestar([guarded], plugins=[for_litestar.CzoAuth(auth)])


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    return [str(len(environ)).encode()]


application = with_auth(wsgi, auth)
SideBySide(application, auth=auth, required=True)


# --- tests -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def auth_under_test() -> tuple[FastAPI, Auth]:
    return app, auth


async def test_orders(auth_host: AuthHost, auth_clock: MovableClock) -> None:
    ada = await auth_host.person(email="ada@shop.example", actor_types=["merchant"], two_factor=True)
    assert_type(ada, Person)
    assert_type(ada.code(), str)
    assert_type(ada.backup_codes, tuple[str, ...])
    assert_type((await ada.client.get("/orders")).status_code, int)
    acme = await auth_host.organization(ada, name="Acme")
    machine = await auth_host.api_key(ada, scopes=["orders:read"], organization_id=acme)
    assert_type(machine, Machine)
    assert_type(auth_clock.move(timedelta(days=1)), datetime)
    assert_type(auth_host.mails[-1].token, str | None)
    assert_type(await auth_host.events("auth.apikey.created"), list[Event])
    async with auth_host.running():
        assert_type(await auth_host.deliver_events(), list[Event])


async def server_side() -> None:
    user = await auth.users.create(email="ada@shop.example", name="Ada", password="a long enough phrase")
    assert_type(user, UserRecord)
    assert_type(await auth.users.find(email="ada@shop.example"), UserRecord | None)
    assert_type(await auth.users.search("ada", limit=10), Page[UserRecord])
    assert_type((await auth.users.grant(user.id, "staff")).actor_types, frozenset[str])
    created = await auth.api_keys.create(
        user.id, name="robot", scopes=["orders:read"], expires_in=timedelta(days=30)
    )
    assert_type(created, CreatedApiKey)
    assert_type(created.key, str)
    assert_type((await auth.api_keys.list(user.id)).items, Sequence[ApiKey])
    assert_type(await auth.api_keys.rotate(created.api_key.id, overlap=timedelta(hours=1)), CreatedApiKey)
    organization = await auth.organizations.create(name="Acme", owner_id=user.id)
    assert_type(organization, Organization)
    assert_type(await auth.organizations.find_member(organization.id, user.id), Member | None)
    assert_type(await auth.sessions.list(user.id), Sequence[Session])
    principal = await auth.authenticate_token(created.key, ip="203.0.113.9")
    assert_type(principal, Principal)
    await auth.api_keys.revoke(created.api_key.id, by=principal)


admin_of_path = auth.require(role="admin", organization_parameter="organization_id", fresh_minutes=10)


def without_pytest() -> None:
    with hosted(app, auth) as host:
        assert_type(host, AuthHost)


# --- life and refusals -----------------------------------------------------------------------------------------------
async def main() -> int:
    try:
        await auth.start()
        assert_type(await auth.readiness(), dict[str, bool])
    except StartRefused as error:
        print(error)
        return 2
    except Refusal as refusal:
        assert_type(refusal.code, str)
        assert_type(refusal.retry_after, int | None)
    finally:
        await auth.stop()
    return 0
