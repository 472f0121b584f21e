"""
Admission of a request, the same for REST, GraphQL and the pages: who is calling, and whether they may.

A refused caller learns nothing else, so this happens before the body is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from starlette.requests import Request
from starlette.types import Scope

from czo_auth.asgi.authentication import DEPLOYMENT, PRINCIPAL, Authenticator
from czo_auth.asgi.clients import Clients
from czo_auth.asgi.cookies import Cookies
from czo_auth.asgi.credentials import Credential
from czo_auth.asgi.limit_headers import LIMITS
from czo_auth.asgi.origins import SAFE_METHODS
from czo_auth.core.access import Access, admit
from czo_auth.core.context import Context
from czo_auth.core.errors import (
    Forbidden,
    OrganizationTwoFactorRequired,
    Refusal,
    TwoFactorSetupRequired,
    Unavailable,
)
from czo_auth.core.principal import Principal
from czo_auth.core.turn_queue import TurnQueue
from czo_auth.core.users.user_fields import UserFields
from czo_auth.runtime import Runtime

BEGIN_AT_ONCE: Final = 2
"""Requests that begin in one turn of the event loop; each computes for a while before it first waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppState:
    """Admits the requests of one deployment; set once in the application's state."""

    runtime: Runtime
    authenticator: Authenticator
    clients: Clients
    start_queue: TurnQueue = field(default_factory=lambda: TurnQueue(BEGIN_AT_ONCE))


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """
    One admitted request.

    Attributes:
        context: Who calls, when and from where.
        known_browser: The value of the cookie of browsers in which someone signed in before.
        origin_refusal: Why the request's cookies may not be used, where that matters only later.
    """

    runtime: Runtime
    authenticator: Authenticator
    context: Context
    cookies: dict[str, str]
    known_browser: str | None = None
    origin_refusal: Refusal | None = None

    @property
    def caller(self) -> Principal:
        """
        The principal, for routes that need one.

        Raises:
            Unauthorized: There is none.
        """
        return self.context.caller

    @property
    def now(self) -> datetime:
        """When the request was admitted."""
        return self.context.now

    @property
    def user_fields(self) -> UserFields:
        """The host's own fields of users."""
        return self.runtime.services.policies.user_fields

    def cookie(self, name: str) -> str | None:
        """
        Read a cookie that is used as a credential.

        Raises:
            MissingOrNullOrigin, InvalidOrigin: Another site may have sent it along.
        """
        value = self.cookies.get(name)
        if value is not None and self.origin_refusal is not None:
            raise self.origin_refusal
        return value


def language_of(request: Request, runtime: Runtime, cookies: Cookies) -> str | None:
    """
    Return the language that *request* asks for: the one that the user chose, else the browser's; None if there is none.
    """
    chosen = cookies.read_language(request.scope["headers"])
    if chosen is not None and chosen in runtime.catalogs.languages:
        return chosen
    accepted = request.headers.get("accept-language")
    return None if accepted is None else runtime.catalogs.choose(accepted)


async def admit_request(
    app_state: AppState, request: Request, access: Access, *, opens_session: bool
) -> RequestContext:
    """
    Admit a request, or refuse it.

    Raises:
        InvalidRequest, Unauthorized, InvalidToken, InvalidApiKey, TwoFactorSetupRequired, SessionRequired, Forbidden,
        SecondFactorNeeded, MissingOrNullOrigin, InvalidOrigin, CrossSiteNavigationBlocked, StorageUnavailable
    """
    runtime, authenticator, scope = app_state.runtime, app_state.authenticator, request.scope
    await runtime.start()
    now = runtime.now()
    context = app_state.clients.context(scope, now=now)
    context = replace(context, language=language_of(request, runtime, authenticator.cookies))
    cookies = authenticator.cookies.read(scope["headers"])
    known_browser = authenticator.cookies.read_browser(scope["headers"])
    credential = authenticator.read_basic(scope) if access.takes_basic else None
    if credential is None:
        credential = authenticator.read(scope)
    if opens_session:
        authenticator.origins.check_sign_in(scope, carries_cookie=bool(cookies))
    origin_refusal = _origin_refusal(authenticator, request, credential, cookies)
    if access.credential == "none":
        await _refuse_blocked_key(runtime, credential, now=now)
        return RequestContext(
            runtime=runtime,
            authenticator=authenticator,
            context=context,
            cookies=cookies,
            known_browser=known_browser,
            origin_refusal=origin_refusal,
        )
    caller = None
    if credential is not None:
        caller = _verified_before(runtime, credential, scope)
    if credential is not None and caller is None:
        caller = await _verify(authenticator, credential, access, origin_refusal, scope)
        if caller is not None and caller.limits is not None:
            request.scope.setdefault("state", {})[LIMITS] = caller.limits
    admitted = await _admit(runtime, caller, access, context=context)
    return RequestContext(
        runtime=runtime,
        authenticator=authenticator,
        context=context if admitted is None else context.of(admitted),
        cookies=cookies,
        known_browser=known_browser,
        origin_refusal=origin_refusal,
    )


def _verified_before(runtime: Runtime, credential: Credential, scope: Scope) -> Principal | None:
    """
    Return the principal that the middleware of the same deployment already verified for this request, if any.

    A host may mount the GraphQL application behind it, and one request must count as one use of a key.
    """
    state = scope.get("state") or {}
    principal: Principal | None = state.get(PRINCIPAL)
    if principal is None or principal.api_key_id is None or credential.from_cookie:
        return None
    return principal if state[DEPLOYMENT][0] is runtime and credential.key_id is None else None


async def _admit(
    runtime: Runtime, caller: Principal | None, access: Access, *, context: Context
) -> Principal | None:
    try:
        return admit(caller, access)
    except Forbidden as refusal:
        if access.administers and caller is not None:
            await runtime.administration.record_denied(refusal.code, context=context.of(caller))
        raise


async def _verify(
    authenticator: Authenticator,
    credential: Credential,
    access: Access,
    origin_refusal: Refusal | None,
    scope: Scope,
) -> Principal | None:
    """Verify the credential; if a session is optional, an invalid one counts as none."""
    optional = access.credential == "optional_session"
    if credential.from_cookie and origin_refusal is not None:
        if optional:
            return None
        raise origin_refusal
    try:
        return await authenticator.verify(credential, scope)
    except (Unavailable, TwoFactorSetupRequired, OrganizationTwoFactorRequired):
        raise
    except Refusal:
        if optional:
            return None
        raise


async def _refuse_blocked_key(runtime: Runtime, credential: Credential | None, *, now: datetime) -> None:
    """An API key whose owner must enroll is refused even if no credential is needed; others are ignored."""
    if credential is None or credential.kind != "api_key":
        return
    try:
        await runtime.authenticate.check_owner_enrollment(credential.value, now=now)
    except (Unavailable, TwoFactorSetupRequired, OrganizationTwoFactorRequired):
        raise
    except Refusal:
        return


def _origin_refusal(
    authenticator: Authenticator, request: Request, credential: Credential | None, cookies: dict[str, str]
) -> Refusal | None:
    bearer = credential is not None and not credential.from_cookie
    if request.method in SAFE_METHODS or not cookies or bearer:
        return None
    try:
        authenticator.origins.check_cookie_request(request.scope)
    except Refusal as refusal:
        return refusal
    return None
