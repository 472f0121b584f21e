"""The command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; ends the process with an exit code."""
    try:
        _main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _main() -> None:
    # Imported late: a worker that imports a part of this package does not pay for all of it.
    from czo_auth.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no UTF-8 gets escapes instead of a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app()
