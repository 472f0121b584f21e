"""
Routes that cannot be declared without an access rule.

The order of the checks is the same for all routes: is the caller admitted (401, 403), is the body acceptable (413, 415,
400), is it valid (400), and only then the flow. A caller who is not admitted learns nothing about the rest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from types import UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin, get_type_hints

from fastapi import APIRouter, Depends
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from czo_auth.asgi.admission import AppState, RequestContext, admit_request
from czo_auth.asgi.body import read_body
from czo_auth.asgi.origins import SAFE_METHODS
from czo_auth.asgi.problems import refusal_of
from czo_auth.core.access import Access
from czo_auth.core.errors import InvalidRequest, Refusal, ValidationFailed
from czo_auth.core.text import escape_control
from czo_auth.rest.answers import Answer
from czo_auth.rest.direct_call import direct_call
from czo_auth.rest.idempotency import IDEMPOTENCY_KEY, Idempotent, answer_once
from czo_auth.rest.models import Body, EmptyBody, IgnoredBody, TolerantBody
from czo_auth.rest.serialization import serialize

Endpoint = Callable[..., Awaitable[object]]
"""Returns a response or the content of its body: a record, a list of records, or None for null."""


async def _call(request: Request) -> RequestContext:
    call: RequestContext = request.state.call
    return call


CurrentRequest = Annotated[RequestContext, Depends(_call)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSpec:
    """
    The declared properties of a route.

    Attributes:
        access: Who may call it.
        opens_session: Whether it signs users in or up, which another site must not trigger.
        ignores_unknown_fields: Whether unknown fields and parameters are ignored.
        takes_array: Whether the body may be an array; for other routes it must be an object.
        idempotent: How an ``Idempotency-Key`` is handled; None if it is ignored.
        oauth: Whether it accepts forms, ignores unknown parameters and reports errors as OAuth does.
        get_has_effects: Whether a GET changes something, so that HEAD, which must be safe, is refused.
    """

    access: Access
    opens_session: bool = False
    ignores_unknown_fields: bool = False
    takes_array: bool = False
    idempotent: Idempotent | None = None
    oauth: bool = False
    get_has_effects: bool = False


class GuardedRoute(APIRoute):
    """Admits the caller and checks the body before FastAPI sees the request."""

    spec: ClassVar[RouteSpec]

    @property
    def access(self) -> Access:
        """Who may call this route."""
        return self.spec.access

    @property
    def answer(self) -> Any:
        """The type of the response body; None if the route does not declare it."""
        declared = get_type_hints(self.endpoint, include_extras=True)["return"]
        kinds = get_args(declared) if get_origin(declared) in (Union, UnionType) else (declared,)
        bodies = [body for kind in kinds if (body := _body_of(kind)) is not None]
        return Union[tuple(bodies)] if bodies else None  # noqa: UP007 - made from a list

    @property
    def ignores_unknown(self) -> bool:
        """Whether the route ignores unknown fields and parameters: better-auth's client adds some."""
        if self.spec.ignores_unknown_fields or self.spec.oauth:
            return True
        bodies = [each.field_info.annotation for each in self.dependant.body_params]
        return any(isinstance(body, type) and issubclass(body, TolerantBody) for body in bodies)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a path; a route for GET also takes HEAD, which the OpenAPI document does not list."""
        return super().matches(self._as_get(scope))

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer HEAD as GET, without the body. Source: RFC 9110 sections 9.1 and 9.3.2."""
        as_get = self._as_get(scope)
        await super().handle(as_get, receive, send if as_get is scope else _without_body(send))

    def _as_get(self, scope: Scope) -> Scope:
        if scope.get("method") != "HEAD" or "GET" not in (self.methods or ()) or self.spec.get_has_effects:
            return scope
        return {**scope, "method": "GET"}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()
        direct = direct_call(self, context_dependency=_call)
        spec, idempotent = self.spec, self.spec.idempotent
        no_fields = None if self.body_field else _no_fields(spec)
        parameters = frozenset(each.alias for each in self.dependant.query_params)
        ignores_unknown = self.ignores_unknown

        async def handle(request: Request) -> Response:
            request.state.is_oauth = spec.oauth
            try:
                return await enter_and_answer(request)
            except (Refusal, RequestValidationError, HTTPException):
                raise
            except Exception as error:
                # For any other exception the framework itself would respond, with a bare 500.
                raise refusal_of(error) from None

        async def enter_and_answer(request: Request) -> Response:
            app_state: AppState = request.app.state.app_state
            call = await admit_request(app_state, request, spec.access, opens_session=spec.opens_session)
            request.state.call = call
            _check_query(request, parameters, ignores_unknown=ignores_unknown, oauth=spec.oauth)
            if request.method in SAFE_METHODS:
                return await (inner(request) if direct is None else direct(request, call, None))
            body = await read_body(request, takes_array=spec.takes_array, takes_form=spec.oauth)
            if no_fields is not None:
                _check(no_fields, body)

            async def answer() -> Response:
                if direct is None:
                    return await inner(_with(request, body))
                return await direct(request, call, body)

            if idempotent is None:
                return await answer()
            return await answer_once(call, request, body, idempotent, answer)

        return handle


def _without_body(send: Send) -> Send:
    async def send_headers(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_headers


def _body_of(kind: Any) -> Any:
    """Return the body type of a response type *kind*; None if the type does not declare it."""
    if get_origin(kind) is Answer:
        return get_args(kind)[0]
    return None if isinstance(kind, type) and issubclass(kind, Response) else kind


def _answering(endpoint: Endpoint, *, status: int) -> Callable[..., Awaitable[Response]]:
    """
    Convert what *endpoint* returns into responses.

    The framework's encoder is not used: it drops names that begin with ``_sa``, even in metadata.
    """

    @wraps(endpoint)
    async def answer(*arguments: Any, **named: Any) -> Response:
        body = await endpoint(*arguments, **named)
        if isinstance(body, Response):
            return body
        return Response(await serialize(body), status_code=status, media_type="application/json")

    return answer


def _check_query(request: Request, parameters: frozenset[str], *, ignores_unknown: bool, oauth: bool) -> None:
    """
    Refuse a query with invalid parameters before any of them is used.

    Args:
        parameters: The parameters of the route.
        ignores_unknown: Whether it ignores all others.
        oauth: Whether a doubled parameter is the same refusal as in the form of an OAuth endpoint.

    Raises:
        InvalidRequest: A parameter of an OAuth endpoint is given twice.
        ValidationFailed: A parameter is unknown: a filter with a typing mistake must not return everything. Or it is
            given twice, which others read differently. Or a value contains NUL, which JSON bodies may not contain
            either and PostgreSQL cannot compare with.
    """
    details = []
    seen = set()
    for name, value in request.query_params.multi_items():
        where = escape_control(name, limit=64)
        if "\x00" in name or "\x00" in value:
            details.append((where, "A character in it is not allowed."))
        elif name not in parameters:
            if not ignores_unknown:
                details.append((where, "This parameter is not known."))
        elif name in seen and oauth:
            raise InvalidRequest(f"The parameter {name} comes twice.")
        elif name in seen:
            details.append((where, "This parameter may be given once."))
        seen.add(name)
    if details:
        raise ValidationFailed(details=details[:20])


def _no_fields(spec: RouteSpec) -> type[Body]:
    """Return the body model of a route without a body, so that unknown fields are refused there as elsewhere."""
    return IgnoredBody if spec.ignores_unknown_fields else EmptyBody


def _check(model: type[Body], body: bytes) -> None:
    try:
        model.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_input=False, include_context=False)) from None


def _with(request: Request, body: bytes) -> Request:
    """Return *request* with its checked body; a request without a body gets a content type."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
    return Request({**request.scope, "headers": [*headers, (b"content-type", b"application/json")]}, receive)


class Routes:
    """
    A group of routes. Each declares its access; there is no default.

    Args:
        ignores_unknown_fields: Whether routes without a body ignore the fields that better-auth's client adds, and all
            routes ignore unknown parameters. For routes with a body, the model decides about its fields.
    """

    def __init__(self, tag: str, *, ignores_unknown_fields: bool = False) -> None:
        self._ignores_unknown_fields = ignores_unknown_fields
        self.router = APIRouter(route_class=GuardedRoute, tags=[tag])

    def add(
        self,
        method: str,
        path: str,
        *,
        access: Access,
        status: int = 200,
        opens_session: bool = False,
        hidden: bool = False,
        ignores_unknown_fields: bool = False,
        takes_array: bool = False,
        idempotent: Idempotent | None = None,
        oauth: bool = False,
        get_has_effects: bool = False,
    ) -> Callable[[Endpoint], Endpoint]:
        """
        Register the decorated endpoint.

        Args:
            hidden: Whether the OpenAPI document omits it.
            ignores_unknown_fields: As for the group.
            access, opens_session, takes_array, idempotent, oauth, get_has_effects: See `RouteSpec`.
        """

        spec = RouteSpec(
            access=access,
            opens_session=opens_session,
            ignores_unknown_fields=ignores_unknown_fields or self._ignores_unknown_fields,
            takes_array=takes_array,
            idempotent=idempotent,
            oauth=oauth,
            get_has_effects=get_has_effects,
        )

        def register(endpoint: Endpoint) -> Endpoint:
            self.router.add_api_route(
                path,
                _answering(endpoint, status=status),
                methods=[method],
                status_code=status,
                response_model=None,
                # A separate class, because an included route keeps only its class.
                route_class_override=type(
                    "SpecifiedRoute",
                    (self.router.route_class,),
                    {"spec": spec, "__doc__": GuardedRoute.__doc__},
                ),
                include_in_schema=not hidden,
                operation_id=f"{method.lower()}{path}".translate(_OPERATION),
                openapi_extra={
                    "x-credential": access.credential,
                    **({} if idempotent is None else {"parameters": [IDEMPOTENCY_KEY]}),
                },
            )
            return endpoint

        return register


_OPERATION = str.maketrans({"/": "_", "-": "_", "{": "", "}": ""})
