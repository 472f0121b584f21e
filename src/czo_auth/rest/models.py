"""The bases of request models, and the field types that they share."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator
from pydantic.alias_generators import to_camel

from czo_auth.asgi.timestamps import parse_timestamp
from czo_auth.core import fields, limits
from czo_auth.core.errors import ValidationFailed

SERVER_SIDE = frozenset(
    {"userId", "user_id", "ownerId", "owner_id", "id", "referenceId", "digest", "keyHash", "hash", "secret"}
    | {
        "emailVerified",
        "twoFactorEnabled",
        "actorTypes",
        "banned",
        "bannedAt",
        "aal",
        "amr",
        "authTime",
        "sid",
    }
    | {
        "createdAt",
        "updatedAt",
        "lastUsedAt",
        "credentialVersion",
        "passwordHash",
        "inviterId",
        "restrictedTo",
    }
)
"""Fields that name an owner or a server-side value: refused everywhere, also where unknown fields are ignored."""


class Body(BaseModel):
    """
    A native request body: strict types, unknown fields refused.

    Its ``repr`` names the fields that were sent and hides what they hold: most bodies carry a password, a code or a
    key, and a traceback or a debugger's log is no place for those.
    """

    model_config = ConfigDict(
        strict=True, extra="forbid", alias_generator=to_camel, frozen=True, hide_input_in_errors=True
    )

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return [(name, _HIDDEN) for name in sorted(self.model_fields_set)]


class _Hidden:
    def __repr__(self) -> str:
        return "…"


_HIDDEN = _Hidden()


class TolerantBody(Body):
    """A body that better-auth's client sends: it adds fields of its own, which are ignored."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _no_server_side_fields(cls, value: Any) -> Any:
        if isinstance(value, dict):
            known = {field.alias for field in cls.model_fields.values()}
            if not known.issuperset(SERVER_SIDE & value.keys()):
                raise ValueError("A field that only the server may set was sent.")
        return value


class OpenBody(Body):
    """A native body that also takes the deployment's own fields; the flow refuses unknown ones."""

    model_config = ConfigDict(extra="allow")

    @property
    def user_fields(self) -> dict[str, Any]:
        """The fields of the body that the model does not know."""
        return dict(self.model_extra or {})


class TolerantOpenBody(TolerantBody):
    """A body of better-auth's client that also takes the deployment's own fields; other unknown fields are ignored."""

    model_config = ConfigDict(extra="allow")

    def user_fields(self, names: Collection[str]) -> dict[str, Any]:
        """Return the fields of the body that are among *names*."""
        return {name: value for name, value in (self.model_extra or {}).items() if name in names}


class EmptyBody(Body):
    """The body of a native route that has none."""


class IgnoredBody(TolerantBody):
    """The body of a route of better-auth's client that has none."""


def _day(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        # Python's own message about a day that does not exist differs between versions.
        with suppress(ValueError):
            return date.fromisoformat(value)
    raise ValueError("A day must look like 2026-01-31.")


def checked(check: Callable[[Any], Any]) -> AfterValidator:
    """Validate a field with a check of the core, and report the check's message."""

    def validate(value: Any) -> Any:
        try:
            return check(value)
        except ValidationFailed as refusal:
            raise ValueError(refusal.details[0][1]) from None

    return AfterValidator(validate)


def _label(value: str) -> str:
    """Return *value* as an authenticator can show it: a colon is a separator there. May be empty."""
    return value.replace(":", " ").strip()


def stripped(limit: int) -> Any:
    """
    Tell clients the bound of a text that is counted without the space around it.

    The core checks it, so that the error states the true bound.
    """
    return Field(json_schema_extra={"maxLength": limit})


def between(least: int, most: int) -> Any:
    """Tell clients the bounds of a number. The core checks them, and its error says what is allowed."""
    return Field(json_schema_extra={"minimum": least, "maximum": most})


Email = Annotated[str, Field(min_length=3, max_length=limits.MAX_EMAIL)]
Password = str
"""Of any length: new passwords of a wrong length have their own error codes, and a wrong password is only wrong."""
Name = Annotated[str, stripped(limits.MAX_NAME), checked(fields.checked_name)]
Description = Annotated[str, stripped(limits.MAX_DESCRIPTION), checked(fields.checked_description)]
Code = Annotated[str, Field(min_length=1, max_length=limits.MAX_CODE)]
Token = Annotated[str, Field(min_length=1, max_length=limits.MAX_TOKEN)]
Identifier = Annotated[str, Field(min_length=1, max_length=limits.MAX_ID)]
Reason = Annotated[str, stripped(limits.MAX_REASON), checked(fields.checked_reason)]
Issuer = Annotated[str, Field(max_length=limits.MAX_ISSUER), AfterValidator(_label)]
Image = Annotated[str, Field(max_length=limits.MAX_URL), checked(fields.checked_image)]
Url = Annotated[str, Field(max_length=limits.MAX_URL)]
Moment = Annotated[datetime, Strict(strict=False), BeforeValidator(parse_timestamp)]
Day = Annotated[date, Strict(strict=False), BeforeValidator(_day)]
Metadata = Annotated[dict[str, Any], checked(fields.checked_metadata)]
