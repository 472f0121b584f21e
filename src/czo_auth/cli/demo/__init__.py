"""``czo-auth demo``: everything that the product does, used as a client would."""

from __future__ import annotations

from czo_auth.cli.options import examples

EXAMPLE = examples("czo-auth demo")


def demo() -> None:
    """
    Start a server on a free port, and use everything that it does over HTTP, one line per step.

    Ends with 0 only if every response was as documented. Data is in a temporary folder; other settings
    come from the environment.
    """
    from czo_auth.cli.demo.run import run_demo

    raise SystemExit(run_demo())
