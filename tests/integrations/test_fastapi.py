"""`Auth.require` in FastAPI applications of many shapes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.responses import JSONResponse
from pydantic import SecretStr
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware

from czo_auth import ActorType, Auth, AuthMiddleware, Principal, Refusal, Settings
from czo_auth.crypto.sealing import new_key_text
from czo_auth.integrations.starlette import principal_of
from tests.integrations.acting import BASE, body_of, create_key, enroll, refused, sign_up
from tests.integrations.raw import alive, client_of, denial, handshake
from tests.support.authenticator import Authenticator


def with_routes(app: FastAPI | APIRouter, auth: Auth) -> None:
    reads = auth.require(scopes=["orders:read"])

    @app.get("/orders")
    async def orders(reader: Principal = Depends(reads)) -> dict[str, str]:
        return {"for": reader.user_id}

    @app.get("/fault")
    async def fault() -> None:
        raise ZeroDivisionError

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout")

    @app.get("/own-decision")
    async def own_decision(reader: Principal = Depends(reads)) -> None:
        reader.require(organization_id="another")

    @app.websocket("/live")
    async def live(socket: WebSocket, reader: Principal = Depends(reads)) -> None:
        await socket.accept()
        await socket.send_text(reader.kind)
        await socket.close()

    @app.websocket("/late")
    async def late(socket: WebSocket, reader: Principal = Depends(reads)) -> None:
        await socket.accept()
        reader.require(aal=2)


def shop(auth: Auth) -> FastAPI:
    app = FastAPI()
    app.mount(BASE, auth.app)
    app.add_middleware(AuthMiddleware, auth=auth)
    with_routes(app, auth)
    return app


async def test_refusals_have_the_products_shape(auth: Auth) -> None:
    async with client_of(shop(auth)) as client:
        refused(await client.get("/orders"), status=401, code="UNAUTHORIZED")
        person = await sign_up(client)
        _, writes = await create_key(client, person, scopes=["orders:write"])
        refused(await client.get("/orders", headers=writes), status=403, code="INSUFFICIENT_SCOPE")
        answer = await client.get("/own-decision", headers=person.bearer)
        refused(answer, status=403, code="ORGANIZATION_SCOPE_MISMATCH")


async def test_what_else_goes_wrong_is_the_hosts(auth: Auth) -> None:
    async with client_of(shop(auth), raises=False) as client:
        fault = await client.get("/fault")
        assert (fault.status_code, fault.text) == (500, "Internal Server Error")
        assert body_of(await client.get("/teapot"), status=418) == {"detail": "short and stout"}
        assert body_of(await client.get("/nothing"), status=404) == {"detail": "Not Found"}
    async with client_of(shop(auth)) as client:
        with pytest.raises(ZeroDivisionError):
            await client.get("/fault")


async def test_host_may_shape_refusals_itself(auth: Auth) -> None:
    app = shop(auth)

    @app.exception_handler(Refusal)
    async def own_shape(_: Request, refusal: Exception) -> Response:
        assert isinstance(refusal, Refusal)
        return JSONResponse({"error": refusal.code}, status_code=400)

    async with client_of(app) as client:
        assert body_of(await client.get("/orders"), status=400) == {"error": "UNAUTHORIZED"}


async def test_handler_of_the_host_for_all_exceptions_does_not_see_refusals(auth: Auth) -> None:
    app = shop(auth)

    @app.exception_handler(Exception)
    async def last(_: Request, error: Exception) -> Response:
        return JSONResponse({"fault": type(error).__name__}, status_code=500)

    async with client_of(app, raises=False) as client:
        refused(await client.get("/orders"), status=401, code="UNAUTHORIZED")
        assert body_of(await client.get("/fault"), status=500) == {"fault": "ZeroDivisionError"}


async def test_application_mounted_into_the_host_answers_alike(auth: Auth) -> None:
    app, inner = shop(auth), FastAPI()
    with_routes(inner, auth)
    app.mount("/v2", inner)
    async with client_of(app) as client:
        refused(await client.get("/v2/orders"), status=401, code="UNAUTHORIZED")
        person = await sign_up(client)
        body_of(await client.get("/v2/orders", headers=person.bearer), status=200)
    assert denial(await handshake(app, "/v2/live"))[0] == 401


async def test_dependency_of_a_router_guards_its_routes(auth: Auth) -> None:
    app = shop(auth)
    router = APIRouter(prefix="/v1", dependencies=[Depends(auth.require(aal=2))])
    with_routes(router, auth)
    app.include_router(router)
    async with client_of(app) as client:
        person = await sign_up(client)
        answer = await client.get("/v1/teapot", headers=person.bearer)
        refused(answer, status=403, code="TWO_FACTOR_REQUIRED")


async def test_route_that_asks_for_a_passkey_takes_nothing_else(auth: Auth) -> None:
    app = shop(auth)
    asks = auth.require(phishing_resistant=True)

    @app.get("/payouts")
    async def payouts(who: Principal = Depends(asks)) -> dict[str, str]:
        return {"of": who.user_id}

    async with client_of(app) as client:
        person = await enroll(client, await sign_up(client))
        by_code = await client.get("/payouts", headers=person.bearer)
        refused(by_code, status=403, code="PHISHING_RESISTANT_FACTOR_REQUIRED")
        device = Authenticator(auth.settings.public_url)
        begun = await client.get(f"{BASE}/passkey/generate-register-options", headers=person.bearer)
        options = begun.json()
        registered = {"response": device.create(options), "ceremony": options["ceremony"]}
        body_of(
            await client.post(f"{BASE}/passkey/verify-registration", json=registered, headers=person.bearer),
            status=200,
        )
        options = (await client.get(f"{BASE}/passkey/generate-authenticate-options")).json()
        answered = {"response": device.get(options), "ceremony": options["ceremony"]}
        opened = body_of(
            await client.post(f"{BASE}/passkey/verify-authentication", json=answered), status=200
        )
        by_passkey = {"authorization": f"Bearer {opened['accessToken']}"}
        assert (
            body_of(await client.get("/payouts", headers=by_passkey), status=200)["of"]
            == opened["user"]["id"]
        )


async def test_host_is_closed_to_a_session_that_must_use_its_passkey_first(tmp_path: Path) -> None:
    """By the middleware, whatever a route asks for; and GraphQL with it."""
    auth = Auth(
        Settings(
            data_dir=tmp_path,
            database_url=f"sqlite:///{tmp_path / 'auth.db'}",
            encryption_key=SecretStr(new_key_text()),
            base_url="http://shop.test",
            rate_limit_enabled=False,
            actor_types=(ActorType(name="customer", sign_up_open=True, two_factor="phishing_resistant"),),
        )
    )
    app = shop(auth)
    app.mount("/graphql", auth.graphql)

    @app.get("/open")
    async def open_route() -> dict[str, bool]:
        return {"open": True}

    try:
        async with client_of(app) as client:
            person = await sign_up(client)
            assert body_of(await client.get("/open"), status=200) == {"open": True}
            setup = await client.get("/open", headers=person.bearer)
            refused(setup, status=403, code="TWO_FACTOR_SETUP_REQUIRED")
            person = await enroll(client, person)
            device = Authenticator("http://shop.test")
            begun = await client.get(f"{BASE}/passkey/generate-register-options", headers=person.bearer)
            options = begun.json()
            registered = {"response": device.create(options), "ceremony": options["ceremony"]}
            added = await client.post(
                f"{BASE}/passkey/verify-registration", json=registered, headers=person.bearer
            )
            body_of(added, status=200)
            closed = await client.get("/open", headers=person.bearer)
            refused(closed, status=403, code="PHISHING_RESISTANT_FACTOR_REQUIRED")
            query = {"query": "{ me { id } }"}
            graph = await client.post("/graphql/", json=query, headers=person.bearer)
            assert (graph.status_code, graph.json()["code"]) == (403, "PHISHING_RESISTANT_FACTOR_REQUIRED")
    finally:
        await auth.stop()


@pytest.mark.parametrize("inside", [True, False])
async def test_other_middleware_of_the_host_is_no_obstacle(auth: Auth, *, inside: bool) -> None:
    seen: list[int] = []

    async def watch(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        seen.append(response.status_code)
        return response

    app = FastAPI()
    app.mount(BASE, auth.app)
    with_routes(app, auth)
    if inside:
        app.add_middleware(BaseHTTPMiddleware, dispatch=watch)
    app.add_middleware(AuthMiddleware, auth=auth)
    if not inside:
        app.add_middleware(BaseHTTPMiddleware, dispatch=watch)
    app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"])
    async with client_of(app) as client:
        answer = await client.get("/orders", headers={"origin": "https://shop.example"})
        refused(answer, status=401, code="UNAUTHORIZED")
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        person = await sign_up(client)
        body_of(await client.get("/orders", headers=person.bearer), status=200)
        answer = await client.get("/own-decision", headers=person.bearer)
        refused(answer, status=403, code="ORGANIZATION_SCOPE_MISMATCH")
    assert seen[:1] == [401]


async def test_transaction_of_a_dependency_is_rolled_back_by_a_refusal(auth: Auth) -> None:
    ends: list[str] = []

    async def transaction() -> AsyncIterator[None]:
        try:
            yield
        except Refusal:
            ends.append("rolled back")
            raise
        ends.append("committed")

    app = shop(auth)

    @app.get("/buy", dependencies=[Depends(transaction)])
    async def buy(tasks: BackgroundTasks, request: Request) -> None:
        tasks.add_task(ends.append, "told")
        principal = principal_of(request)
        assert principal is not None
        principal.require(actor="merchant")

    async with client_of(app) as client:
        person = await sign_up(client)
        refused(await client.get("/buy", headers=person.bearer), status=403, code="ACTOR_TYPE_MISMATCH")
    assert ends == ["rolled back"]


async def test_forgotten_middleware_lets_nobody_in(auth: Auth) -> None:
    app = FastAPI()
    with_routes(app, auth)
    async with client_of(app) as client:
        with pytest.raises(RuntimeError, match="AuthMiddleware"):
            await client.get("/orders")


async def test_websocket_is_refused_before_and_after_it_was_accepted(auth: Auth) -> None:
    app = shop(auth)
    assert denial(await handshake(app, "/live")) == (
        401,
        {"code": "UNAUTHORIZED", "message": "Sign in first.", "status": 401},
    )
    assert await handshake(app, "/live", extensions=()) == [{"type": "websocket.close", "code": 3000}]
    async with client_of(app) as client:
        person = await sign_up(client)
    accepted = await handshake(app, "/live", headers=person.bearer)
    assert [message["type"] for message in accepted] == [
        "websocket.accept",
        "websocket.send",
        "websocket.close",
    ]
    late = await handshake(app, "/late", headers=person.bearer)
    assert late[1:] == [{"type": "websocket.close", "code": 1008, "reason": "TWO_FACTOR_REQUIRED"}]


@pytest.mark.parametrize("root_path", ["/shop", "/admin", "/api", "/api/auth"])
async def test_host_under_a_root_path_finds_the_mount(auth: Auth, root_path: str) -> None:
    app = shop(auth)
    async with client_of(app, root_path=root_path) as client:
        client.base_url = client.base_url.copy_with(path=root_path)
        person = await sign_up(client)
        body_of(await client.get(f"{BASE}/session", headers=person.bearer), status=200)
        body_of(await client.get("/orders", headers=person.bearer), status=200)
        refused(await client.get("/orders"), status=401, code="UNAUTHORIZED")
        refused(await client.get(f"{BASE}/admin/users"), status=401, code="UNAUTHORIZED")


async def test_host_behind_a_proxy_that_cuts_its_prefix_off_finds_the_mount(auth: Auth) -> None:
    app = shop(auth)
    app.root_path = "/shop"
    async with client_of(app) as client:
        person = await sign_up(client)
        body_of(await client.get(f"{BASE}/session", headers=person.bearer), status=200)
        body_of(await client.get("/orders", headers=person.bearer), status=200)
        refused(await client.get("/orders"), status=401, code="UNAUTHORIZED")


async def test_lifespans_chain_and_keep_the_hosts_state(auth: Auth) -> None:
    story: list[str] = []

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        assert isinstance(app, FastAPI)
        story.append(f"opened, auth started: {auth.is_started}")
        yield {"till": "full"}
        story.append(f"closed, auth started: {auth.is_started}")

    app = FastAPI(lifespan=auth.lifespan(own))
    async with alive(app) as state:
        assert state == {"till": "full"}
        story.append("served")
    story.append(f"ended, auth started: {auth.is_started}")
    assert story == [
        "opened, auth started: True",
        "served",
        "closed, auth started: True",
        "ended, auth started: False",
    ]


async def test_lifespan_without_its_parentheses_is_named(auth: Auth) -> None:
    mistaken: Any = auth.lifespan
    app = FastAPI(lifespan=mistaken)
    with pytest.raises(TypeError, match=r"write lifespan=auth\.lifespan\(\)"):
        async with app.router.lifespan_context(app):
            pass


async def test_fault_of_the_hosts_lifespan_stops_auth(auth: Auth) -> None:
    @asynccontextmanager
    async def own(_: FastAPI) -> AsyncIterator[int]:
        yield 1 // 0

    with pytest.raises(ZeroDivisionError):
        async with auth.lifespan(own)(FastAPI()):
            pass
    assert not auth.is_started


async def test_openapi_document_says_which_routes_need_a_credential(auth: Auth) -> None:
    document = shop(auth).openapi()
    assert document["paths"]["/orders"]["get"]["security"] == [{"czo-auth": []}]
    assert "security" not in document["paths"]["/fault"]["get"]
    assert document["components"]["securitySchemes"]["czo-auth"]["scheme"] == "bearer"


@pytest.mark.parametrize("root_path", ["", "/shop"])
async def test_graphql_answers_at_the_path_that_it_is_mounted_at(auth: Auth, root_path: str) -> None:
    app = shop(auth)
    app.mount("/graphql", auth.graphql)
    async with client_of(app, root_path=root_path) as client:
        client.base_url = client.base_url.copy_with(path=root_path)
        person = await sign_up(client)
        for path in ("/graphql", "/graphql/"):
            answer = await client.post(path, json={"query": "{ me { id } }"}, headers=person.bearer)
            assert "me" in body_of(answer, status=200)["data"]
        refused(
            await client.post("/graphql", json={"query": "{ me { id } }"}), status=401, code="UNAUTHORIZED"
        )
        assert body_of(await client.get("/nothing"), status=404) == {"detail": "Not Found"}
