"""
MCP servers that accept czo-auth's API keys and tokens: with the official Python SDK, and with FastMCP.

``token_verifier`` is for servers in the process of the host, ``introspection_verifier`` for those elsewhere. Needs
``czo-auth[mcp]``.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from czo_auth.extras import require_extra

try:
    from czo_auth.integrations.mcp.credentials import CredentialVerifier, LocalVerifier, RemoteVerifier
except ImportError:
    require_extra("mcp", "czo_auth.integrations.mcp")
    raise

if TYPE_CHECKING:
    from czo_auth.auth import Auth
    from czo_auth.integrations.mcp.fastmcp import FastMCPVerifier

__all__ = ["introspection_verifier", "token_verifier"]


def token_verifier(
    auth: Auth, *, resource: str | None = None, scopes: Collection[str] = ()
) -> FastMCPVerifier:
    """
    Create the verifier of an MCP server in the same process as this deployment.

    It decides like ``AuthMiddleware``, at each request. Wrap the server's application with
    ``auth.protected_resource(…).protect``: without it, keys with an allow-list are refused, and outages are a bare 500.

    If FastMCP is installed, the verifier also works there: ``FastMCP(auth=token_verifier(auth))``.

    Args:
        resource: The server's URL. If it is in ``CZO_AUTH_TOKEN_AUDIENCES``, only tokens for it are accepted, and no
            sessions; otherwise those for this deployment. API keys have no audience.
        scopes: What the server requires. Sessions have those that their user may use.
    """
    return _verifier(LocalVerifier(auth, resource=resource, scopes=tuple(scopes)), scopes)


def introspection_verifier(
    url: str, api_key: str, *, resource: str, scopes: Collection[str] = ()
) -> FastMCPVerifier:
    """
    Create the verifier of an MCP server that runs elsewhere and queries czo-auth over HTTP, at each request.

    Accepts API keys, and tokens that were exchanged for *resource*.

    Args:
        url: The base path of the deployment: ``https://auth.example.com/api/auth``.
        api_key: A key with the scope ``api-keys:verify``.
        resource: The server's URL, one of ``CZO_AUTH_TOKEN_AUDIENCES``.
        scopes: What the server requires.
    """
    return _verifier(RemoteVerifier(url, api_key, resource=resource), scopes)


def _verifier(verifier: CredentialVerifier, scopes: Collection[str]) -> FastMCPVerifier:
    if find_spec("fastmcp") is not None:
        from czo_auth.integrations.mcp.fastmcp import FastMCPVerifier

        return FastMCPVerifier(verifier, list(scopes))
    require_extra("mcp", "An MCP server")
    from czo_auth.integrations.mcp.sdk import SdkVerifier

    # What FastMCP's type promises beyond the SDK's is of use to FastMCP only.
    return cast("FastMCPVerifier", SdkVerifier(verifier))
