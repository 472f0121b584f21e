"""Submitted forms: of limited size, without files, read once (S26)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import parse_qsl

from starlette.requests import Request

from czo_auth.asgi.body import receive_body
from czo_auth.core.errors import InvalidRequest, UnsupportedMediaType, ValidationFailed
from czo_auth.core.limits import MAX_BODY_BYTES, MAX_CODE, MAX_FORM_FIELDS, MAX_NAME

Choice = TypeVar("Choice", bound=str)
_FORM_TYPE = re.compile(r"application/x-www-form-urlencoded\s*(?:;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The fields of one form, or of a query; ``repr`` does not show them."""

    fields: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def raw(self, name: str) -> str:
        """Return a field as it was sent, untrimmed as passwords need it; empty if it was not sent."""
        return self.fields[name][0] if name in self.fields else ""

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a field that may be repeated."""
        return tuple(self.fields.get(name, ()))

    def optional(self, name: str, *, max_length: int = MAX_NAME) -> str | None:
        """
        Return a field without surrounding whitespace; None if nothing is left.

        Raises:
            ValidationFailed: It is longer than *max_length* characters.
        """
        text = self.raw(name).strip()
        if len(text) > max_length:
            raise ValidationFailed(details=((name, "This is too long."),))
        return text or None

    def text(self, name: str, *, max_length: int = MAX_NAME) -> str:
        """
        Return a field that must not be blank.

        Raises:
            ValidationFailed: It is blank, or too long.
        """
        text = self.optional(name, max_length=max_length)
        if text is None:
            raise ValidationFailed(details=((name, "This must not be blank."),))
        return text

    def words(self, name: str, *, max_length: int) -> tuple[str, ...]:
        """
        Return the words of a field, which are separated by white space, commas or both.

        Raises:
            ValidationFailed: It is longer than *max_length* characters.
        """
        return tuple((self.optional(name, max_length=max_length) or "").replace(",", " ").split())

    def code(self) -> str | None:
        """
        Return the code of an authenticator app, or the backup code that was entered instead; None if both are blank.

        Raises:
            ValidationFailed: It is too long.
        """
        return self.optional("code", max_length=MAX_CODE) or self.optional("backup_code", max_length=MAX_CODE)

    def required_code(self) -> str:
        """
        Return the code or the backup code; one of them is required.

        Raises:
            ValidationFailed: Both are blank, or one is too long.
        """
        return self.code() or self.text("code", max_length=MAX_CODE)

    def number(self, name: str, *, default: int = 0) -> int:
        """
        Return a field that contains a whole number.

        Raises:
            ValidationFailed: It contains something else.
        """
        text = self.optional(name, max_length=12)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]+", text):
            raise ValidationFailed(details=((name, "This is not a number."),))
        return int(text)

    def moment(self, name: str) -> datetime | None:
        """
        Return a field with a date or a time in UTC, as ``datetime-local`` sends it; None if it is blank.

        Raises:
            ValidationFailed: It contains something else.
        """
        text = self.optional(name, max_length=40)
        if text is None:
            return None
        try:
            found = datetime.fromisoformat(text)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationFailed(details=((name, "This is not a time."),)) from None

    def choice(self, name: str, among: Collection[Choice]) -> Choice | None:
        """
        Return a field that contains one of a few values; None if it is blank.

        Raises:
            ValidationFailed: It contains something else, which must not count as blank: a list would have no filter.
        """
        text = self.raw(name).strip()
        found = next((each for each in among if each == text), None)
        if found is None and text:
            raise ValidationFailed(details=((name, "There is no such value."),))
        return found


async def read_form(request: Request) -> Form:
    """
    Read the body of *request*.

    Raises:
        BodyTooSlow, MalformedBody, TooLarge, UnsupportedMediaType, InvalidRequest
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType
    chunks = await receive_body(request, largest=MAX_BODY_BYTES)
    if chunks and not _FORM_TYPE.fullmatch(request.headers.get("content-type", "")):
        raise UnsupportedMediaType
    return _parsed(chunks)


def read_query(request: Request) -> Form:
    """
    Read the query of *request*.

    Raises:
        InvalidRequest: It is malformed, or too long.
        ValidationFailed: A parameter is doubled. None of ours may be, and one of them would be ignored.
    """
    query: bytes = request.scope.get("query_string", b"")
    if len(query) > MAX_BODY_BYTES:
        raise InvalidRequest
    parsed = _parsed(query)
    if any(len(values) > 1 for values in parsed.fields.values()):
        raise ValidationFailed(details=(("query", "Send each parameter once."),))
    return parsed


def _parsed(body: bytes) -> Form:
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS
        )
    except ValueError:
        raise InvalidRequest from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\x00" in name or "\x00" in value:
            raise InvalidRequest
        fields.setdefault(name, []).append(value)
    return Form(fields=fields)
