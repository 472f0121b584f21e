"""What PostgreSQL's driver makes of the arguments that an address gives."""

from __future__ import annotations

from inspect import signature
from typing import Any

import asyncpg


def parsed_by_the_driver(**arguments: Any) -> Any:
    """Let the driver read what it would connect with."""
    parse = asyncpg.connect_utils._parse_connect_dsn_and_args  # type: ignore[attr-defined]
    return parse(**{**dict.fromkeys(signature(parse).parameters), **arguments})
