"""`AuthMiddleware` around applications that know nothing of it."""

from __future__ import annotations

import base64
import logging
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from czo_auth import Auth, AuthMiddleware, Settings
from czo_auth.asgi.authentication import PRINCIPAL
from czo_auth.core.errors import AccountLocked, InsufficientScope, StorageUnavailable
from czo_auth.crypto.sealing import new_key_text
from tests.integrations.acting import BASE, refused, settle_administrator, sign_in, sign_up
from tests.integrations.raw import client_of, denial, handshake


class Echo:
    """Answers 200 to everything and remembers whom it saw; raises what it was told to."""

    def __init__(self, raises: Exception | None = None, *, after_start: bool = False) -> None:
        self.raises = raises
        self.after_start = after_start
        self.seen: list[object] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope.get("state", {}).get(PRINCIPAL, "passed through"))
        if self.raises is not None and not self.after_start:
            raise self.raises
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if self.raises is not None:
            raise self.raises
        await send({"type": "http.response.body", "body": b"{}"})


async def test_refusal_of_the_host_becomes_the_products_answer(auth: Auth) -> None:
    for refusal, status, retry_after in (
        (InsufficientScope(), 403, None),
        (StorageUnavailable(), 503, "2"),
        (AccountLocked(retry_after=30), 429, "30"),
    ):
        async with client_of(AuthMiddleware(Echo(refusal), auth=auth)) as client:
            answer = await client.get("/orders")
        refused(answer, status=status, code=refusal.code)
        assert answer.headers.get("retry-after") == retry_after


async def test_other_exceptions_pass(auth: Auth) -> None:
    async with client_of(AuthMiddleware(Echo(ZeroDivisionError()), auth=auth)) as client:
        with pytest.raises(ZeroDivisionError):
            await client.get("/orders")


async def test_refusal_after_the_answer_began_passes(auth: Auth) -> None:
    host = AuthMiddleware(Echo(InsufficientScope(), after_start=True), auth=auth)
    async with client_of(host) as client:
        with pytest.raises(InsufficientScope):
            await client.get("/orders")


async def test_required_refuses_the_anonymous_and_leaves_the_mount_alone(auth: Auth) -> None:
    assert auth.app
    echo = Echo()
    async with client_of(AuthMiddleware(echo, auth=auth, required=True)) as client:
        refused(await client.get("/orders"), status=401, code="UNAUTHORIZED")
        assert (await client.post(f"{BASE}/sign-in/email")).status_code == 200
        refused(await client.get("/api/authors"), status=401, code="UNAUTHORIZED")
        refused(await client.get(f"{BASE}/orders"), status=401, code="UNAUTHORIZED")
    assert echo.seen == ["passed through"]


@pytest.mark.parametrize(
    ("root_path", "path"),
    [
        *(("", f"{BASE}/jwks"), ("", f"{BASE}/api-keys/x"), ("", f"{BASE}/openapi.json")),
        *(("/shop", f"/shop{BASE}/jwks"), ("/shop/", f"/shop{BASE}/jwks")),
        # The server cut the root path off already.
        ("/shop", f"{BASE}/jwks"),
    ],
)
async def test_products_own_paths_pass_through(auth: Auth, root_path: str, path: str) -> None:
    assert auth.app
    echo = Echo()
    async with client_of(AuthMiddleware(echo, auth=auth), root_path=root_path) as client:
        await client.get(path, headers={"authorization": "Bearer wrong"})
    assert echo.seen == ["passed through"]


@pytest.mark.parametrize(
    ("root_path", "path"),
    [
        *(("/shop", f"/shopping{BASE}/x"), ("", f"/shop{BASE}/x"), ("", "/api/authors")),
        # Litestar looks for the root path anywhere in the path, and would serve its own /orders here.
        ("/shop", f"{BASE}/shop/orders"),
    ],
)
async def test_paths_that_only_look_like_the_products_are_guarded(
    auth: Auth, root_path: str, path: str
) -> None:
    echo = Echo()
    async with client_of(AuthMiddleware(echo, auth=auth), root_path=root_path) as client:
        answer = await client.get(path, headers={"authorization": "Bearer czs_wrong"})
    refused(answer, status=401, code="INVALID_TOKEN")
    assert echo.seen == []


async def test_restricted_session_is_refused_on_every_route_of_the_host(auth: Auth) -> None:
    await auth.start()
    email = await settle_administrator(auth)
    async with client_of(auth.app) as product:
        restricted = await sign_in(product, email, actor="admin")
    cookie = {"cookie": f"better-auth.session_token={restricted.session_token}"}
    echo = Echo()
    host = AuthMiddleware(echo, auth=auth)
    async with client_of(host) as client:
        for headers in (restricted.bearer, cookie):
            refused(
                await client.get("/public", headers=headers), status=403, code="TWO_FACTOR_SETUP_REQUIRED"
            )
    sent = await handshake(host, "/live", headers=restricted.bearer)
    assert denial(sent)[1]["code"] == "TWO_FACTOR_SETUP_REQUIRED"
    assert echo.seen == []


async def test_handshake_is_closed_where_the_server_cannot_answer_it(auth: Auth) -> None:
    host = AuthMiddleware(Echo(), auth=auth, required=True)
    assert await handshake(host, "/live", extensions=()) == [{"type": "websocket.close", "code": 3000}]
    forbidden = AuthMiddleware(Echo(InsufficientScope()), auth=auth)
    assert await handshake(forbidden, "/live", extensions=()) == [{"type": "websocket.close", "code": 3003}]


async def test_first_request_starts_it_where_there_is_no_lifespan(auth: Auth) -> None:
    async with client_of(auth.app) as product:
        person = await sign_up(product)
    await auth.stop()
    echo = Echo()
    async with client_of(AuthMiddleware(echo, auth=auth)) as client:
        await client.get("/orders")
        started_by = [auth.is_started]
        await client.get("/orders", headers=person.bearer)
        started_by.append(auth.is_started)
    assert started_by == [False, True]
    assert echo.seen[0] is None
    assert getattr(echo.seen[1], "kind") == "session"  # noqa: B009 - an object


async def test_start_that_is_refused_is_an_outage_and_no_verdict(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def deployment() -> Auth:
        return Auth(
            Settings(
                database_url=f"sqlite:///{tmp_path / 'auth.db'}", encryption_key=SecretStr(new_key_text())
            )
        )

    first, other_key = deployment(), deployment()
    await first.start()
    await first.stop()
    caplog.set_level(logging.CRITICAL, logger="czo_auth")
    async with client_of(AuthMiddleware(Echo(), auth=other_key)) as client:
        token = {"authorization": "Bearer czs_" + "A" * 43}
        refused(await client.get("/orders", headers=token), status=503, code="SERVICE_UNAVAILABLE")
        cookie = {"cookie": "better-auth.session_token=czs_" + "A" * 43}
        refused(await client.get("/orders", headers=cookie), status=503, code="SERVICE_UNAVAILABLE")
    assert "AUTH_ENCRYPTION_KEY" in caplog.text
    await other_key.stop()


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def foreign_tokens() -> dict[str, str]:
    """Bearer values of others: opaque ones, and JWTs of other issuers."""
    header = b64url(b'{"alg":"RS256"}')
    issuers = {"another issuer": b'{"iss":"https://idp.example"}', "no issuer": b"{}", "no object": b"[1]"}
    return {
        "opaque": "whsec_abc123",
        "with odd characters": "secret:of:a:webhook",
        "too long for ours": "x" * 5000,
        "no JSON": f"{header}.AAAA.AAAA",
        **{name: f"{header}.{b64url(claims)}.c2ln" for name, claims in issuers.items()},
    }


@pytest.mark.parametrize("name", foreign_tokens())
async def test_foreign_bearer_value_is_anonymous_on_routes_of_the_host(auth: Auth, name: str) -> None:
    headers = {"authorization": f"Bearer {foreign_tokens()[name]}"}
    echo = Echo()
    async with client_of(AuthMiddleware(echo, auth=auth)) as client:
        assert (await client.get("/webhooks/payments", headers=headers)).status_code == 200
    assert echo.seen == [None]
    async with client_of(AuthMiddleware(echo, auth=auth, required=True)) as client:
        refused(await client.get("/orders", headers=headers), status=401, code="INVALID_TOKEN")
    async with client_of(auth.app) as client:
        assert (await client.get(f"{BASE}/whoami", headers=headers)).status_code in (400, 401)


@pytest.mark.parametrize("prefix", ["czo_", "czs_", "czr_", "czc_", "czi_", "czm_", "czd_"])
async def test_value_that_begins_like_ours_is_ours(auth: Auth, prefix: str) -> None:
    echo = Echo()
    async with client_of(AuthMiddleware(echo, auth=auth)) as client:
        answer = await client.get("/orders", headers={"authorization": f"Bearer {prefix}wrong"})
    assert answer.status_code == 401
    assert echo.seen == []


@pytest.mark.parametrize("more", ["}", ',"aud":"shop","iss":"https://idp.example"}', ',"aud":"cut of'])
async def test_forged_token_of_our_issuer_is_refused(auth: Auth, more: str) -> None:
    claims = f'{{"iss":"{auth.settings.public_url}"{more}'.encode()
    forged = f"{b64url(b'{}')}.{b64url(claims)}.c2ln"
    async with client_of(AuthMiddleware(Echo(), auth=auth)) as client:
        answer = await client.get("/orders", headers={"authorization": f"Bearer {forged}"})
    refused(answer, status=401, code="INVALID_TOKEN")
