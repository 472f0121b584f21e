"""
The packages that are installed by choice, and the one sentence for what is missing.

Nothing here imports them: a feature asks for its extra when it is first used.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from czo_auth.errors import StartRefused

MODULES: Final[dict[str, tuple[str, ...]]] = {
    "cli": ("typer", "rich", "httpx"),
    "graphql": ("strawberry",),
    "mcp": ("mcp", "httpx"),
    "metrics": ("prometheus_client",),
    "nats": ("nats",),
    "pages": ("jinja2",),
    "passkeys": ("webauthn",),
    "postgres": ("asyncpg", "greenlet"),
    "pwned": ("httpx",),
    "rabbitmq": ("aio_pika",),
    "redis": ("limits", "redis"),
    "server": ("granian",),
    "smtp": ("aiosmtplib", "jinja2"),
    "testing": ("httpx", "pytest"),
    "webhooks": ("httpcore",),
}
"""The top-level modules that a feature needs, by the extra in pyproject.toml that brings them."""


class MissingExtra(StartRefused, ImportError):
    """A feature is used whose packages are not installed; the message says how to install them."""


def is_installed(extra: str) -> bool:
    """Whether every module of *extra* can be found; none is imported."""
    return all(find_spec(module) is not None for module in MODULES[extra])


def require_extra(extra: str, feature: str) -> None:
    """
    Refuse to continue without *extra*.

    Args:
        feature: What needs it, as the subject of the sentence: a setting, a command or a name.

    Raises:
        MissingExtra: One of its modules is not there.
    """
    if not is_installed(extra):
        raise MissingExtra(f"{feature} needs czo-auth[{extra}]: pip install 'czo-auth[{extra}]'")
