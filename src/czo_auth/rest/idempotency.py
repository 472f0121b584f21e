"""
Requests with an ``Idempotency-Key``: the first is executed, repeated ones get its answer.

Source: draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from czo_auth.asgi.admission import RequestContext
from czo_auth.core.errors import Unavailable, ValidationFailed
from czo_auth.core.flows.idempotency import CompletedRequest, RunningRequest

HEADER: Final = "idempotency-key"

Recheck = Callable[[RequestContext, Request, Any], Awaitable[None]]
"""Refuse a stored answer to a caller who may no longer read it. The third argument is the body of the answer."""

IDEMPOTENCY_KEY: Final[Mapping[str, object]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A name for this request: a repetition within ten minutes gets the first answer and does nothing.",
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
}
"""The header as the OpenAPI document describes it."""

_LOG = logging.getLogger("czo_auth.rest")
_COMPUTED: Final = frozenset({"content-length"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotent:
    """
    How a route treats repeated requests.

    Attributes:
        recheck: Checks the rights again that admission does not check.
        shows_enrollment: Whether the stored answer is deleted with the enrollment that it shows (S8).
    """

    recheck: Recheck | None = None
    shows_enrollment: bool = False


async def answer_once(
    call: RequestContext,
    request: Request,
    body: bytes,
    idempotent: Idempotent,
    act: Callable[[], Awaitable[Response]],
) -> Response:
    """
    Respond with the result of *act*, or with the answer to an earlier request with the same key.

    Raises:
        ValidationFailed: The header is doubled or malformed.
        RequestInProgress: The earlier request is still running.
        IdempotencyKeyReused: The earlier request had another body.
    """
    names = request.headers.getlist(HEADER)
    if not names:
        return await act()
    if len(names) > 1:
        raise ValidationFailed(details=(("Idempotency-Key", "Send one such header."),))
    requests = call.runtime.idempotency
    route = f"{request.method} {request.scope['path'].removeprefix(request.scope.get('root_path', ''))}"
    begun = await requests.begin(
        name=names[0],
        route=route,
        body=_canonical(body),
        shows_enrollment=idempotent.shows_enrollment,
        context=call.context,
    )
    if isinstance(begun, CompletedRequest):
        status, headers, content = _unpacked(begun.answer)
        if idempotent.recheck is not None:
            await idempotent.recheck(call, request, json.loads(content))
        response = Response(content, status_code=status)
        response.raw_headers = [*headers, (b"content-length", str(len(content)).encode())]
        return response
    return await _act_and_keep(call, begun, act)


async def _act_and_keep(
    call: RequestContext, running: RunningRequest, act: Callable[[], Awaitable[Response]]
) -> Response:
    requests = call.runtime.idempotency
    try:
        response = await act()
    except Exception:
        await requests.abandon(running)
        raise
    if response.status_code >= 400:
        await requests.abandon(running)
        return response
    try:
        await requests.keep(running, _packed(response))
    except Unavailable:
        # The request was executed, so the caller must get its answer. The key stays taken: nothing is created twice.
        _LOG.warning("the answer to a repeatable request could not be kept")
    return response


def _canonical(body: bytes) -> bytes:
    """Write a JSON value so that equal values are equal bytes."""
    value = json.loads(body) if body else {}
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _packed(response: Response) -> bytes:
    headers = [
        [name.decode("latin-1"), value.decode("latin-1")]
        for name, value in response.raw_headers
        if name.decode("latin-1").lower() not in _COMPUTED
    ]
    content = base64.b64encode(bytes(response.body)).decode()
    return json.dumps({"status": response.status_code, "headers": headers, "body": content}).encode()


def _unpacked(answer: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    kept = json.loads(answer)
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept["headers"]]
    return kept["status"], headers, base64.b64decode(kept["body"])
