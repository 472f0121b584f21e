"""The version of the distribution."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def installed_version() -> str:
    """Read the version of the installed distribution."""
    try:
        return version("czo-auth")
    except PackageNotFoundError:
        return "0.0.0"


VERSION = installed_version()
