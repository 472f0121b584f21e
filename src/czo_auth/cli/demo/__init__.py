"""``czo-auth demo``: the whole product, walked through as a client would."""

from __future__ import annotations

EXAMPLE = "Example: czo-auth demo"


def demo() -> None:
    """Start a server of its own and walk through everything that it does."""
