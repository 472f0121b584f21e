"""Routes are called without FastAPI's resolution of dependencies where they take nothing that needs it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Annotated, Any

import pytest
from fastapi import Body as InBody
from fastapi import Depends, Header
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from czo_auth.rest.app import NATIVE
from czo_auth.rest.direct_call import direct_call
from czo_auth.rest.models import Body
from czo_auth.rest.routing import CurrentRequest, _call


class Named(Body):
    name: str


async def a_change(thing_id: str, body: Named, call: CurrentRequest) -> Response:
    return Response(f"{thing_id} {body.name} {call}")


async def with_a_header(call: CurrentRequest, x_thing: Annotated[str, Header()]) -> Response:
    return Response(x_thing)


async def with_a_query(call: CurrentRequest, limit: int = 5) -> Response:
    return Response(str(limit))


async def with_the_request(request: Request) -> Response:
    return Response(str(request.url))


async def with_another_dependency(a: Annotated[str, Depends(lambda: "a")]) -> Response:
    return Response(a)


async def with_plain_json(body: Annotated[dict[str, Any], InBody()]) -> Response:
    return Response(str(body))


def a_request(**path: str) -> Request:
    return Request({"type": "http", "method": "PATCH", "path": "/", "headers": [], "path_params": path})


def directly(endpoint: Any, path: str = "/things") -> Any:
    return direct_call(APIRoute(path, endpoint, methods=["PATCH"]), context_dependency=_call)


async def test_path_body_and_context_reach_the_function() -> None:
    answer = await directly(a_change, "/things/{thing_id}")(
        a_request(thing_id="one"), "the context", b'{"name": "two"}'
    )
    assert answer.body == b"one two the context"


@pytest.mark.parametrize("body", [b"{}", b'{"name": 1}', b'{"name": "a", "other": 1}', b"[]"])
async def test_errors_are_those_of_fastapi(body: bytes) -> None:
    route = APIRoute("/things/{thing_id}", a_change, methods=["PATCH"])
    errors = []
    for call in (
        lambda: directly(a_change, "/things/{thing_id}")(a_request(thing_id="one"), None, body),
        lambda: through_fastapi(route, body),
    ):
        with pytest.raises(RequestValidationError) as caught:
            await call()
        errors.append([{**each, "input": None} for each in caught.value.errors()])
    assert errors[0] == errors[1]


async def through_fastapi(route: APIRoute, body: bytes) -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async with AsyncExitStack() as stack:
        stacks = dict.fromkeys(
            ("fastapi_inner_astack", "fastapi_function_astack", "fastapi_middleware_astack"), stack
        )
        request = a_request(thing_id="one")
        headers = [(b"content-type", b"application/json")]
        scope = {**request.scope, **stacks, "headers": headers, "query_string": b"", "state": {"call": None}}
        await route.get_route_handler()(Request(scope, receive))


@pytest.mark.parametrize(
    "endpoint", [with_a_header, with_a_query, with_the_request, with_another_dependency, with_plain_json]
)
def test_route_that_takes_anything_else_goes_through_fastapi(endpoint: Any) -> None:
    assert directly(endpoint) is None


def test_most_routes_are_called_directly() -> None:
    routes = [each for module in NATIVE for each in module.routes.router.routes if isinstance(each, APIRoute)]
    slow = [each.path for each in routes if direct_call(each, context_dependency=_call) is None]
    assert len(slow) < len(routes) / 3
