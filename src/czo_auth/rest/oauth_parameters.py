"""Parameters of OAuth endpoints, which come as form fields or as JSON."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from czo_auth.core.limits import MAX_SENT_LIFETIME, MAX_TOKEN


def _omitted_if_empty(value: Any) -> Any:
    # RFC 6749 section 3.1: a parameter without a value counts as omitted.
    return None if value == "" else value


def _seconds(value: Any) -> Any:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10:
        return int(value)
    return value


Parameter = Annotated[str | None, Field(max_length=MAX_TOKEN), BeforeValidator(_omitted_if_empty)]
Seconds = Annotated[
    int | None,
    Field(strict=True, ge=1, le=MAX_SENT_LIFETIME),
    BeforeValidator(_seconds),
    BeforeValidator(_omitted_if_empty),
]


class OAuthParameters(BaseModel):
    """The parameters of one endpoint, by their names in the RFCs; unknown ones are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


def split_scope(scope: str | None) -> tuple[str, ...] | None:
    """Return the scopes of a parameter, distinct and in their order. Source: RFC 6749 section 3.3."""
    return None if scope is None else tuple(dict.fromkeys(scope.split(" ")))
