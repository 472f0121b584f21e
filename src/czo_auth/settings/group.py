"""What all groups of settings share: how they are read, and the types of their values."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic_settings import NoDecode

DOMAIN: Final = re.compile(r"localhost|(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}")
"""A domain name in lower case, or `localhost`."""


def _split(value: Any) -> Any:
    return (
        tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value
    )


def _check_mount_path(value: str) -> str:
    if not value.startswith("/") or value.endswith("/"):
        raise ValueError("must begin with a slash and not end with one")
    return value


Split: Final = BeforeValidator(_split)
"""Splits a list that an environment variable holds, separated by commas."""
Words = Annotated[tuple[str, ...], NoDecode, Split]
Numbers = Annotated[tuple[float, ...], NoDecode, Split]
MountPath = Annotated[str, AfterValidator(_check_mount_path)]


class SettingsGroup(BaseModel):
    """The settings of one area; `Settings` joins all groups."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )
