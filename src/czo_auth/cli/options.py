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


def target_path(text: str) -> Path:
    """
    Parse the path of a file to write.

    `Path` drops a slash at the end, which says that a folder is meant. A file would take the place of a missing folder.

    Raises:
        typer.BadParameter: It names a folder that does not exist.
    """
    named = Path(text)
    if text.endswith("/") and not named.is_dir():
        raise typer.BadParameter(f"there is no such folder: {text}")
    return named


DataDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Data folder, where the database is a file in it.", show_default=False, metavar="DIR"),
]
DatabaseUrl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Another database. A URL with a password in it belongs in CZO_AUTH_DATABASE_URL.",
        show_default=False,
        metavar="URL",
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
Limit: TypeAlias = Annotated[
    int | None,
    typer.Option("--limit", min=1, metavar="COUNT", help="Maximum number of rows.", show_default=False),
]
NewestLimit: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--limit",
        min=1,
        max=100_000,
        metavar="COUNT",
        help="Number of rows, the newest ones.",
        show_default=False,
    ),
]
Since: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Not before this time: 2026-01-31, 2026-01-31T12:00 (UTC), or 30m, 12h, 7d ago.",
        show_default=False,
    ),
]
OfUser: TypeAlias = Annotated[
    str | None,
    typer.Option("--user", metavar="EMAIL|ID", help="About this user, or done by them.", show_default=False),
]
