"""The command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; end the process with an exit code."""
    try:
        _main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _main() -> None:
    from czo_auth.extras import MissingExtra, require_extra

    try:
        require_extra("cli", "The command line")
    except MissingExtra as missing:
        print(missing, file=sys.stderr)
        raise SystemExit(2) from None
    # Imported late: a worker that imports a part of this package does not pay for all of it.
    from czo_auth.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        # A terminal without UTF-8 gets escapes instead of a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app()
