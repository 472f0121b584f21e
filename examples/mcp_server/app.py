"""An MCP server of the official SDK beside czo-auth in one process: API keys and exchanged tokens open it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mcp.server import MCPServer
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from czo_auth import Auth, Settings
from czo_auth.deployment import settings_with_local_key
from czo_auth.integrations.mcp import token_verifier
from examples.shop import ORDERS

settings = settings_with_local_key(
    Settings(
        data_dir=Path(os.environ.get("CZO_AUTH_DATA_DIR", ".czo-auth/mcp_server")),
        totp_issuer="The shop",
        scope_rule={"customer": ["orders:read", "orders:write"]},
    )
)
auth = Auth(settings)
resource = auth.protected_resource(f"{settings.public_url}/mcp", ["orders:read"], name="The shop's orders")

server = MCPServer(
    "orders",
    log_level="WARNING",
    token_verifier=token_verifier(auth, resource=resource.resource, scopes=resource.scopes),
    auth=AuthSettings(
        issuer_url=AnyHttpUrl(resource.issuer),
        resource_server_url=AnyHttpUrl(resource.resource),
        required_scopes=list(resource.scopes),
        validate_token_resource=True,
    ),
)


@server.tool()
def list_orders() -> list[dict[str, object]]:
    """The orders, for callers with the scope `orders:read`."""
    return [dict(order) for order in ORDERS]


@server.tool()
def cancel_order(number: int) -> str:
    """Cancel an order; takes a further scope, so the tool asks for it itself."""
    caller = get_access_token()
    if caller is None or "orders:write" not in caller.scopes:
        raise PermissionError("This needs the scope orders:write.")
    return f"order {number} is cancelled, said {caller.subject}"


async def front_page(_: Request) -> JSONResponse:
    """For everyone."""
    return JSONResponse({"shop": "open"})


mcp_app = server.streamable_http_app()


@asynccontextmanager
async def serving(_: Starlette) -> AsyncIterator[None]:
    """What the SDK does while it serves; a mounted application's own lifespan is never run."""
    async with server.session_manager.run():
        yield


app = resource.protect(
    Starlette(
        routes=[
            Route("/", front_page),
            Route(auth.oauth_metadata.path, auth.oauth_metadata),
            Mount("/api/auth", auth.app),
            Mount("/", mcp_app),
        ],
        lifespan=auth.lifespan(serving),
    )
)
