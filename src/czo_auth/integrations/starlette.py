"""Starlette: the principal, a decorator with the requirements of a route, and refusals as responses."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from czo_auth.asgi.authentication import refuse
from czo_auth.asgi.problems import body_of, headers_of, status_of
from czo_auth.core.errors import Refusal
from czo_auth.core.principal import Principal
from czo_auth.integrations.requirement import Demands, Requirement, principal_in

P = ParamSpec("P")
R = TypeVar("R")
HANDLERS = "starlette.exception_handlers"
"""Key of the scope under which Starlette keeps the exception handlers of the application that serves the request."""
POLICY_VIOLATION = 1008
"""Close code for a WebSocket that was accepted already. Source: RFC 6455 section 7.4.1."""


def principal_of(connection: HTTPConnection, *, service_accounts: bool = False) -> Principal | None:
    """
    Return the principal, or None for an anonymous request.

    Args:
        service_accounts: Whether to return service accounts too; after a guard that admits them they always are.

    Raises:
        UserRequired: The caller is a service account.
        RuntimeError: The application lacks ``AuthMiddleware``.
    """
    return principal_in(connection.scope, service_accounts=service_accounts)


def requires(**demands: Unpack[Demands]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """
    Guard the decorated endpoint (a function, or a method of an endpoint class; async or not; HTTP or WebSocket).

    >>> @requires(scopes=["orders:read"])
    ... async def orders(request): ...
    """
    requirement = Requirement.of(**demands)

    def guard(endpoint: Callable[P, R]) -> Callable[P, R]:
        if inspect.iscoroutinefunction(endpoint):

            @functools.wraps(endpoint)
            async def guarded_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
                await demand(requirement, _connection_among(args, kwargs))
                return await endpoint(*args, **kwargs)

            return guarded_coroutine  # type: ignore[return-value]

        @functools.wraps(endpoint)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            connection = _connection_among(args, kwargs)
            with _answering(connection):
                requirement.admit_blocking(connection.scope)
            return endpoint(*args, **kwargs)

        return guarded

    return guard


async def demand(requirement: Requirement, connection: HTTPConnection) -> Principal:
    """Return the principal of *connection* if it meets *requirement*."""
    with _answering(connection):
        return await requirement.admit(connection.scope)


@contextmanager
def _answering(connection: HTTPConnection) -> Iterator[None]:
    """
    Let the application that serves the request handle a refusal.

    Otherwise an application mounted into another would turn it into an internal error before ``AuthMiddleware`` could
    see it.
    """
    try:
        yield
    except Refusal:
        handlers, _ = connection.scope.get(HANDLERS, ({}, {}))
        handlers.setdefault(Refusal, refused)
        raise


@overload
async def refused(connection: Request, error: Exception) -> Response: ...


@overload
async def refused(connection: WebSocket, error: Exception) -> None: ...


async def refused(connection: Request | WebSocket, error: Exception) -> Response | None:
    """Answer a refusal; an exception handler: ``app.add_exception_handler(Refusal, refused)``."""
    if not isinstance(error, Refusal):
        raise error
    if isinstance(connection, WebSocket):
        if connection.application_state is WebSocketState.CONNECTING:
            await refuse(connection.scope, connection.receive, connection.send, error)
        else:
            await connection.close(POLICY_VIOLATION, error.code)
        return None
    response = Response(json.dumps(body_of(error)), status_code=status_of(error))
    for name, value in headers_of(error):
        response.headers[name.decode()] = value.decode()
    return response


def _connection_among(args: tuple[Any, ...], kwargs: dict[str, Any]) -> HTTPConnection:
    for argument in (*args, *kwargs.values()):
        if isinstance(argument, HTTPConnection):
            return argument
    raise TypeError("an endpoint under @requires takes the request (or websocket) as an argument")
