"""``czo-auth demo``: the whole product, walked through as a client would."""

from __future__ import annotations

from czo_auth.cli.options import examples

EXAMPLE = examples("czo-auth demo")


def demo() -> None:
    """
    Start a server of its own on a free port, and use everything that it does over HTTP, one line a step.

    Ends with 0 only if every answer was what the contract says. Data lives in a temporary folder; other settings
    come from the environment.
    """
    from czo_auth.cli.demo.play import play

    raise SystemExit(play())
