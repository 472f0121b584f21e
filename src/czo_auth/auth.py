"""``Auth``: one deployment in a host application, with its ASGI applications."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from starlette.applications import Starlette
from starlette.types import ASGIApp

from czo_auth.runtime import Runtime

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from czo_auth.api.api_keys import ApiKeys
    from czo_auth.api.organizations import Organizations
    from czo_auth.api.service_accounts import ServiceAccounts
    from czo_auth.api.sessions import Sessions
    from czo_auth.api.users import Users
    from czo_auth.asgi.admission import AppState
    from czo_auth.asgi.protected_resource import ProtectedResource
    from czo_auth.asgi.public_document import PublicDocument
    from czo_auth.core.principal import Principal
    from czo_auth.integrations.requirement import Demands

S = TypeVar("S", bound=Callable[..., Any])
Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


class Auth(Runtime):
    """
    One deployment of czo-auth, to be mounted by a host application.

    >>> auth = Auth(Settings(base_url="https://shop.example"))
    >>> app = FastAPI(lifespan=auth.lifespan())
    >>> app.mount("/api/auth", auth.app)
    >>> app.add_middleware(AuthMiddleware, auth=auth)

    It starts with the host's lifespan, or otherwise with its first request.
    """

    @cached_property
    def app_state(self) -> AppState:
        """The middleware of every request."""
        from czo_auth.app import build_app_state

        return build_app_state(self)

    @cached_property
    def app(self) -> ASGIApp:
        """The ASGI application to mount at ``settings.base_path``."""
        from czo_auth.app import mounted_app

        return mounted_app(self, self.app_state)

    @cached_property
    def graphql(self) -> ASGIApp:
        """The ASGI application for ``POST /graphql``; mount it anywhere."""
        from czo_auth.app import graphql_app_of

        return graphql_app_of(self, self.app_state)

    @cached_property
    def oauth_metadata(self) -> PublicDocument:
        """
        The document that tells OAuth clients where the endpoints are (RFC 8414). Clients look for it at the root of the
        host.

        >>> app.add_route(auth.oauth_metadata.path, auth.oauth_metadata)  # FastAPI, Starlette
        >>> app = auth.oauth_metadata.around(app)  # any ASGI application: Litestar, Django, Flask
        """
        from czo_auth.app import oauth_metadata_of

        return oauth_metadata_of(self)

    @cached_property
    def pages(self) -> ASGIApp:
        """The account pages, an ASGI application to mount at ``settings.pages_path``."""
        from czo_auth.app import pages_app_of

        return pages_app_of(self, self.app_state)

    @cached_property
    def users(self) -> Users:
        """Find, create and change users, from the host's own code."""
        from czo_auth.api.users import Users

        return Users(self)

    @cached_property
    def api_keys(self) -> ApiKeys:
        """Create, list, rotate and revoke API keys of users."""
        from czo_auth.api.api_keys import ApiKeys

        return ApiKeys(self)

    @cached_property
    def service_accounts(self) -> ServiceAccounts:
        """Create service accounts of organizations, and their API keys."""
        from czo_auth.api.service_accounts import ServiceAccounts

        return ServiceAccounts(self)

    @cached_property
    def organizations(self) -> Organizations:
        """Create organizations and manage their members."""
        from czo_auth.api.organizations import Organizations

        return Organizations(self)

    @cached_property
    def sessions(self) -> Sessions:
        """List and end the sessions of users."""
        from czo_auth.api.sessions import Sessions

        return Sessions(self)

    async def authenticate_token(
        self,
        text: str,
        *,
        ip: str | None = None,
        audience: str | None = None,
        service_accounts: bool = False,
    ) -> Principal:
        """
        Verify a credential that did not come in a request through ``AuthMiddleware``: in the first message of a
        WebSocket, from a queue, over another protocol.

        Args:
            text: An API key, an access token or a session token, without ``Bearer``.
            ip: The client's address, for keys that are allowed from certain addresses only.
            audience: One of ``CZO_AUTH_TOKEN_AUDIENCES``: only tokens for it are accepted, no sessions and no tokens
                for another audience. API keys have no audience and are still accepted. By default this deployment's
                own.
            service_accounts: Whether API keys of service accounts are accepted too; their principal has no user.

        Raises:
            UserRequired: It is the API key of a service account.
            InvalidToken, InvalidApiKey: It is not one of ours, or it has expired or was revoked.
            TwoFactorSetupRequired: Its user has to turn two factors on first.
            IpAddressNotAllowed, ApiKeyRateLimited: The key may not be used from that address, or not that often.
            StorageUnavailable: The database does not answer.
        """
        from czo_auth.api.tokens import authenticate_token

        return await authenticate_token(
            self, text, ip=ip, audience=audience, service_accounts=service_accounts
        )

    def on(self, pattern: str) -> Callable[[S], S]:
        """
        Register the decorated function for an event type, a group (``auth.apikey.*``) or all (``*``).

        Raises:
            ValueError: There is no such event.
        """
        return self.subscribers.on(pattern)

    def require(self, **demands: Unpack[Demands]) -> Callable[[HTTPConnection], Awaitable[Principal]]:
        """
        Create a dependency for FastAPI: ``principal: Principal = Depends(auth.require(scopes=["orders:read"]))``.

        The host needs ``AuthMiddleware``. Refusals become JSON errors.

        Args:
            demands: ``actor``, ``scopes``, ``aal``, ``organization_id``, ``role``, ``organization_parameter``,
                ``fresh_minutes``, ``phishing_resistant`` and ``service_accounts``; see
                ``czo_auth.integrations.requirement.Demands``.

        Raises:
            TypeError, ValueError: It could never be met, for example because of an unknown actor type.
        """
        from czo_auth.integrations.fastapi import RequirePrincipal
        from czo_auth.integrations.requirement import Requirement

        return RequirePrincipal(Requirement.of(self, **demands))

    def protected_resource(
        self, resource: str, scopes: Collection[str] = (), *, name: str | None = None
    ) -> ProtectedResource:
        """
        Describe a resource server, such as an MCP server, that accepts this deployment's keys and tokens (RFC 9728).

        >>> mcp = auth.protected_resource("https://shop.example/mcp", ["orders:read"])
        >>> app = mcp.protect(mcp_app)

        Args:
            resource: Its URL, as clients know it.
            scopes: What a credential needs to be admitted.
            name: The name shown to people.

        Raises:
            ValueError: *resource* is not an absolute URL, or a scope has another form than ``resource:action``.
        """
        from czo_auth.asgi.protected_resource import ProtectedResource

        return ProtectedResource(
            resource,
            scopes,
            issuer=self.services.access_tokens.issuer,
            name=name,
            trusted_proxies=self.settings.trusted_proxies,
        )

    def lifespan(self, inner: Lifespan | None = None) -> Lifespan:
        """
        Create a lifespan that starts and stops czo-auth around *inner*, the host's own.

        Raises:
            TypeError: *inner* is an application: the framework was given this method instead of its result.
        """
        if isinstance(inner, Starlette):
            raise TypeError("lifespan=auth.lifespan lacks its parentheses: write lifespan=auth.lifespan()")

        @asynccontextmanager
        async def run(app: Any) -> AsyncIterator[Any]:
            await self.start()
            try:
                if inner is None:
                    yield None
                else:
                    async with inner(app) as state:
                        yield state
            finally:
                await self.stop()

        return run
