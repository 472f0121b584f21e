"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer


def examples(*commands: str) -> str:
    """Write the end of a help text; each command stays on its line, ready to be copied."""
    # The backspace tells the help formatter to leave the paragraph as it is.
    return "\b\n" + "\n".join(
        ["Example:" if len(commands) == 1 else "Examples:", *(f"  {line}" for line in commands)]
    )


DataDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Data folder, where the database is a file in it.", show_default=False, metavar="DIR"),
]
DatabaseUrl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Another database. A URL with a password in it belongs into CZO_AUTH_DATABASE_URL.",
        show_default=False,
        metavar="URL",
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
