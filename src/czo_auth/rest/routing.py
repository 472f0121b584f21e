"""
Routes that cannot be declared without saying who may call them.

The order of questions is the same for all: may the caller enter (401, 403), is the body acceptable (413, 415, 400), is
it valid (400), and only then the flow. A caller who may not enter learns nothing about the rest.
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
from starlette.responses import JSONResponse, Response
from starlette.types import Message

from czo_auth.asgi.admission import AppState, RequestContext, admit_request
from czo_auth.asgi.body import read_body
from czo_auth.asgi.origins import SAFE_METHODS
from czo_auth.asgi.problems import refusal_of
from czo_auth.core.access import Access
from czo_auth.core.errors import Refusal, ValidationFailed
from czo_auth.core.text import escape_control
from czo_auth.rest import records
from czo_auth.rest.answers import Answer
from czo_auth.rest.idempotency import Idempotent, answer_once
from czo_auth.rest.models import Body, EmptyBody, IgnoredBody, TolerantBody

Endpoint = Callable[..., Awaitable[object]]
"""Returns a response, or what the body of one holds: a record, a list of records, or None for a null."""


async def _call(request: Request) -> RequestContext:
    call: RequestContext = request.state.call
    return call


CurrentRequest = Annotated[RequestContext, Depends(_call)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSpec:
    """
    What a route says of itself.

    Attributes:
        access: Who may call it.
        opens_session: Whether it signs someone in or up, which another site must not cause.
        ignores_unknown_fields: Whether fields and parameters that it does not know are ignored.
        takes_array: Whether a body may be an array; of all others the model sees objects only.
        idempotent: How an ``Idempotency-Key`` is obeyed; None where it is ignored.
        oauth: Whether it takes forms, ignores unknown parameters and tells errors as OAuth does.
    """

    access: Access
    opens_session: bool = False
    ignores_unknown_fields: bool = False
    takes_array: bool = False
    idempotent: Idempotent | None = None
    oauth: bool = False


class GuardedRoute(APIRoute):
    """Admits the caller and checks the body before FastAPI sees the request."""

    spec: ClassVar[RouteSpec]

    @property
    def access(self) -> Access:
        """Who may call this route."""
        return self.spec.access

    @property
    def answer(self) -> Any:
        """What the body of this route's answer holds, as a type; None where the route does not say it."""
        declared = get_type_hints(self.endpoint, include_extras=True)["return"]
        kinds = get_args(declared) if get_origin(declared) in (Union, UnionType) else (declared,)
        bodies = [body for kind in kinds if (body := _body_of(kind)) is not None]
        return Union[tuple(bodies)] if bodies else None  # noqa: UP007 - made from a list

    @property
    def ignores_unknown(self) -> bool:
        """Whether fields and parameters that the route does not know are ignored: better-auth's client adds some."""
        if self.spec.ignores_unknown_fields or self.spec.oauth:
            return True
        bodies = [each.field_info.annotation for each in self.dependant.body_params]
        return any(isinstance(body, type) and issubclass(body, TolerantBody) for body in bodies)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()
        spec, idempotent = self.spec, self.spec.idempotent
        no_fields = None if self.body_field else _no_fields(spec)
        parameters = (
            None if self.ignores_unknown else frozenset(each.alias for each in self.dependant.query_params)
        )

        async def handle(request: Request) -> Response:
            request.state.is_oauth = spec.oauth
            try:
                return await enter_and_answer(request)
            except (Refusal, RequestValidationError, HTTPException):
                raise
            except Exception as error:
                # What leaves the routes as another exception, the framework answers by itself, with a bare 500.
                raise refusal_of(error) from None

        async def enter_and_answer(request: Request) -> Response:
            app_state: AppState = request.app.state.app_state
            call = await admit_request(app_state, request, spec.access, opens_session=spec.opens_session)
            request.state.call = call
            _check_query(request, parameters)
            if request.method in SAFE_METHODS:
                return await inner(request)
            body = await read_body(request, takes_array=spec.takes_array, takes_form=spec.oauth)
            if no_fields is not None:
                _check(no_fields, body)
            checked = _with(request, body)
            if idempotent is None:
                return await inner(checked)
            return await answer_once(call, request, body, idempotent, lambda: inner(checked))

        return handle


def _body_of(kind: Any) -> Any:
    """Return what a response of the type *kind* holds; None where the type does not say it."""
    if get_origin(kind) is Answer:
        return get_args(kind)[0]
    return None if isinstance(kind, type) and issubclass(kind, Response) else kind


def _answering(endpoint: Endpoint, *, status: int) -> Callable[..., Awaitable[Response]]:
    """
    Make responses of what *endpoint* returns.

    Not by the framework, whose encoder drops names that begin with ``_sa``, also those in metadata.
    """

    @wraps(endpoint)
    async def answer(*arguments: Any, **named: Any) -> Response:
        body = await endpoint(*arguments, **named)
        if isinstance(body, Response):
            return body
        return JSONResponse(records.dump(body), status_code=status)

    return answer


def _check_query(request: Request, parameters: frozenset[str] | None) -> None:
    """
    Refuse what a query may not hold, before anything of it is obeyed.

    Args:
        parameters: The ones that the route knows; None where others are ignored.

    Raises:
        ValidationFailed: A parameter is unknown: a filter with a typing mistake must not answer everything. Or it holds
            the character that no JSON body may hold either, and that PostgreSQL cannot compare with.
    """
    details = []
    for name, value in request.query_params.multi_items():
        where = escape_control(name, limit=64)
        if "\x00" in name or "\x00" in value:
            details.append((where, "A character in it is not allowed."))
        elif parameters is not None and name not in parameters:
            details.append((where, "This parameter is not known."))
    if details:
        raise ValidationFailed(details=details[:20])


def _no_fields(spec: RouteSpec) -> type[Body]:
    """Return the model of a route that has no body of its own: what is refused elsewhere is refused there too."""
    return IgnoredBody if spec.ignores_unknown_fields else EmptyBody


def _check(model: type[Body], body: bytes) -> None:
    try:
        model.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_input=False, include_context=False)) from None


def _with(request: Request, body: bytes) -> Request:
    """Return *request* with a body that was checked; where there was none, it has the type of one now."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
    return Request({**request.scope, "headers": [*headers, (b"content-type", b"application/json")]}, receive)


class Routes:
    """
    A group of routes; each says its access, and none has a default.

    Args:
        ignores_unknown_fields: Whether routes without a body ignore what better-auth's client adds, and all of them
            parameters that they do not know. Models say it for the bodies of the others.
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
    ) -> Callable[[Endpoint], Endpoint]:
        """
        Register the decorated endpoint.

        Args:
            hidden: Whether the OpenAPI document leaves it out.
            ignores_unknown_fields: As for the group.
            access, opens_session, takes_array, idempotent, oauth: See `RouteSpec`.
        """

        spec = RouteSpec(
            access=access,
            opens_session=opens_session,
            ignores_unknown_fields=ignores_unknown_fields or self._ignores_unknown_fields,
            takes_array=takes_array,
            idempotent=idempotent,
            oauth=oauth,
        )

        def register(endpoint: Endpoint) -> Endpoint:
            self.router.add_api_route(
                path,
                _answering(endpoint, status=status),
                methods=[method],
                status_code=status,
                response_model=None,
                # A class of its own: what is included elsewhere keeps its class, and nothing else.
                route_class_override=type(
                    "SpecifiedRoute",
                    (self.router.route_class,),
                    {"spec": spec, "__doc__": GuardedRoute.__doc__},
                ),
                include_in_schema=not hidden,
                operation_id=f"{method.lower()}{path}".translate(_OPERATION),
                openapi_extra={"x-credential": access.credential},
            )
            return endpoint

        return register


_OPERATION = str.maketrans({"/": "_", "-": "_", "{": "", "}": ""})
