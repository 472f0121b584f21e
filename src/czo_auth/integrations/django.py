"""
Django on ASGI: czo-auth next to it, ``request.czo_principal``, and a decorator with the requirements of a view.

Django does not pass exceptions on to ASGI middleware, so refusals are answered here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse, JsonResponse  # type: ignore[import-untyped]
from django.utils.decorators import sync_and_async_middleware  # type: ignore[import-untyped]
from starlette.types import ASGIApp

from czo_auth.asgi.problems import body_of, headers_of, status_of
from czo_auth.core.errors import Refusal
from czo_auth.core.principal import Principal
from czo_auth.integrations.requirement import Demands, Requirement, principal_in
from czo_auth.integrations.side_by_side import SideBySide

if TYPE_CHECKING:
    from czo_auth.auth import Auth

View = TypeVar("View", bound=Callable[..., Any])


def with_auth(application: ASGIApp, auth: Auth) -> ASGIApp:
    """
    Serve czo-auth and a Django application, in ``asgi.py``.

    >>> application = with_auth(get_asgi_application(), auth)
    """
    return SideBySide(application, auth=auth)


def principal_of(request: HttpRequest, *, service_accounts: bool = False) -> Principal | None:
    """
    Return the principal, or None for an anonymous request.

    Args:
        service_accounts: Whether to return service accounts too; after a guard that admits them they always are.

    Raises:
        UserRequired: The caller is a service account.
        RuntimeError: The request did not come through ``with_auth``, for example from ``runserver`` (WSGI).
    """
    return principal_in(getattr(request, "scope", {}), service_accounts=service_accounts)


def requires(**demands: Unpack[Demands]) -> Callable[[View], View]:
    """
    Guard the decorated view, async or not; it finds the principal in ``request.czo_principal``.

    For a view class it decorates the result of ``as_view()``: ``path("orders", requires(...)(Orders.as_view()))``.
    """
    requirement = Requirement.of(**demands)

    async def admit(request: HttpRequest, parameters: dict[str, Any]) -> HttpResponse | None:
        try:
            request.czo_principal = await requirement.admit(getattr(request, "scope", {}), parameters)
        except Refusal as refusal:
            return answer(refusal)
        return None

    def admit_blocking(request: HttpRequest, parameters: dict[str, Any]) -> HttpResponse | None:
        try:
            scope = getattr(request, "scope", {})
            request.czo_principal = requirement.admit_blocking(scope, parameters)
        except Refusal as refusal:
            return answer(refusal)
        return None

    def guard(view: View) -> View:
        if iscoroutinefunction(view):

            @functools.wraps(view)
            async def guarded_coroutine(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                refusal = await admit(request, kwargs)
                return await view(request, *args, **kwargs) if refusal is None else refusal

            return guarded_coroutine  # type: ignore[return-value]

        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            refusal = admit_blocking(request, kwargs)
            return view(request, *args, **kwargs) if refusal is None else refusal

        return guarded  # type: ignore[return-value]

    return guard


@sync_and_async_middleware  # type: ignore[untyped-decorator]
def principal_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """
    Set ``czo_principal`` on every request, None for anonymous ones, and turn refusals that a view raises into
    responses.

    A service account is not a user: ``czo_principal`` is None for it too, unless ``requires(service_accounts=True)``
    admitted it.

    Goes into ``MIDDLEWARE`` as ``"czo_auth.integrations.django.principal_middleware"``.
    """

    def process_exception(_: HttpRequest, error: Exception) -> HttpResponse | None:
        return answer(error) if isinstance(error, Refusal) else None

    if iscoroutinefunction(get_response):

        async def middleware_coroutine(request: HttpRequest) -> Any:
            request.czo_principal = _user_of(request)
            return await get_response(request)

        middleware_coroutine.process_exception = process_exception  # type: ignore[attr-defined]
        return middleware_coroutine

    def middleware(request: HttpRequest) -> Any:
        request.czo_principal = _user_of(request)
        return get_response(request)

    middleware.process_exception = process_exception  # type: ignore[attr-defined]
    return middleware


def _user_of(request: HttpRequest) -> Principal | None:
    principal = principal_of(request, service_accounts=True)
    return None if principal is None or principal.user_id is None else principal


def answer(refusal: Refusal) -> HttpResponse:
    """Turn a refusal into a response."""
    response = JsonResponse(body_of(refusal), status=status_of(refusal))
    for name, value in headers_of(refusal):
        response[name.decode()] = value.decode()
    return response
