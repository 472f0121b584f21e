"""Request bodies: bounded, plain, strict JSON, before any model sees them (S26)."""

from __future__ import annotations

import asyncio
import json
import math
import re
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive, Scope

from czo_auth.core.errors import (
    BodyTooSlow,
    InvalidRequest,
    MalformedBody,
    TooLarge,
    UnsupportedMediaType,
    ValidationFailed,
)
from czo_auth.core.limits import MAX_BODY_BYTES, MAX_JSON_DEPTH, MAX_OAUTH_PARAMETERS, MAX_UNREAD_BYTES

BODY_SECONDS = 30.0
"""How long a client may take to send a body."""

_UNREAD_SECONDS = 2.0
"""How long a client that is refused may send nothing before it is no longer waited for."""

_FORM_TYPE = re.compile(r"application/x-www-form-urlencoded\s*(?:;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE)
_JSON_TYPE = re.compile(r"application/json\s*(?:;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE)
_TOO_DEEP = f"The body is nested deeper than {MAX_JSON_DEPTH} levels."


class UnreadBody:
    """
    Reads the rest of an unused body before the response is sent.

    If a server responds and closes while the client is still sending, the response may be lost: the client sees a
    broken connection instead of the error. A body that is much too long is not read, and the wait ends if the client
    falls silent or takes longer than `BODY_SECONDS`.

    Source: RFC 9112 section 9.6.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._is_over = not _is_worth_reading(scope)

    async def receive(self) -> Message:
        """Replace the server's receive function, and note the end of the body."""
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            self._is_over = True
        return message

    async def discard(self) -> None:
        """Read to the end, within the bounds."""
        left = MAX_UNREAD_BYTES
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while left > 0 and not self._is_over:
                    # By chunk: a slow client that keeps sending may need longer than this for a whole body.
                    async with asyncio.timeout(_UNREAD_SECONDS):
                        message = await self.receive()
                    left -= len(message.get("body", b""))
        except TimeoutError:
            pass
        self._is_over = True


def _is_worth_reading(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return value.isdigit() and 0 < int(value[:18]) <= MAX_UNREAD_BYTES
        if name == b"transfer-encoding":
            return True
    return False


async def read_body(
    request: Request, *, largest: int = MAX_BODY_BYTES, takes_array: bool = False, takes_form: bool = False
) -> bytes:
    """
    Read the body of *request* up to *largest* bytes and check that it is acceptable JSON.

    Args:
        takes_array: Whether it may be an array instead of an object.
        takes_form: Whether it may be a form as well, which is given as a JSON object of texts.

    Returns:
        The bytes; ``{}`` if there was no body, so that missing fields are reported by name.

    Raises:
        TooLarge, UnsupportedMediaType, MalformedBody, ValidationFailed
        InvalidRequest: A parameter of a form comes twice.
    """
    declared = request.headers.get("content-length", "")
    if re.fullmatch(r"[0-9]{1,18}", declared) and int(declared) > largest:
        raise TooLarge
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType
    chunks = await receive_body(request, largest=largest)
    if not chunks:
        return b"{}"
    if takes_form and _FORM_TYPE.fullmatch(request.headers.get("content-type", "")):
        return _form_as_json(bytes(chunks))
    if not _JSON_TYPE.fullmatch(request.headers.get("content-type", "")):
        raise UnsupportedMediaType
    if not isinstance(parse_strictly(chunks), (dict, list) if takes_array else dict):
        raise ValidationFailed(details=(("body", "The body must be a JSON object."),))
    return chunks


async def receive_body(request: Request, *, largest: int) -> bytes:
    """
    Receive the body of *request*, whatever it is.

    Raises:
        TooLarge: It has more than *largest* bytes.
        BodyTooSlow: It took longer than `BODY_SECONDS`, so that a client that sends a byte now and then cannot keep the
            server busy.
        MalformedBody: The client disconnected before the end; nobody receives this response.
    """
    chunks = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                chunks += chunk
                if len(chunks) > largest:
                    raise TooLarge
    except TimeoutError:
        raise BodyTooSlow from None
    except ClientDisconnect:
        raise MalformedBody from None
    return bytes(chunks)


def _form_as_json(body: bytes) -> bytes:
    """Source: RFC 6749 appendix B; its section 3.1 refuses a parameter that comes twice."""
    if body.count(b"&") >= MAX_OAUTH_PARAMETERS:
        raise MalformedBody(f"The body has more than {MAX_OAUTH_PARAMETERS} parameters.")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            encoding="utf-8",
            errors="strict",
        )
    except ValueError:
        raise MalformedBody("The body is not a valid form in UTF-8.") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidRequest("A parameter comes twice.")
    _check(fields, depth=1)
    return json.dumps(fields).encode()


def parse_strictly(body: bytes) -> Any:
    """
    Parse JSON, refusing what other parsers would read differently.

    Raises:
        MalformedBody: Not UTF-8, not JSON, nested too deep, doubled keys, NaN, Infinity, NUL or lone surrogates.

    Source: RFC 8259 sections 4, 8.1 and 8.2; RFC 7493 section 2.
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_distinct,
            parse_constant=_refuse,
            parse_float=_finite,
        )
    except RecursionError:
        raise MalformedBody(_TOO_DEEP) from None
    except ValueError:
        raise MalformedBody from None
    _check(value, depth=1)
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _refuse(_: str) -> NoReturn:
    raise ValueError


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _check(value: Any, *, depth: int) -> None:
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise MalformedBody(
                "The body contains a character that is not allowed: NUL or half a surrogate pair."
            )
    elif isinstance(value, (dict, list)):
        if depth > MAX_JSON_DEPTH:
            raise MalformedBody(_TOO_DEEP)
        for part in [*value, *value.values()] if isinstance(value, dict) else value:
            _check(part, depth=depth + 1)
