"""What all groups of settings share: how they are read, and the types of their values."""

from __future__ import annotations

import re
from pathlib import Path
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


def _check_names_file(value: Any) -> Any:
    # `Path` drops the slash, and a file would take the place of the folder that was meant.
    if isinstance(value, str) and value.endswith("/"):
        raise ValueError("must name a file, without a slash at the end")
    return value


Split: Final = BeforeValidator(_split)
"""Splits a list that an environment variable holds, separated by commas."""
Words = Annotated[tuple[str, ...], NoDecode, Split]
Numbers = Annotated[tuple[float, ...], NoDecode, Split]
MountPath = Annotated[str, AfterValidator(_check_mount_path)]
NewFile = Annotated[Path, BeforeValidator(_check_names_file)]
"""The path of a file that is created if there is none."""


class SettingsGroup(BaseModel):
    """The settings of one area; `Settings` joins all groups."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )
