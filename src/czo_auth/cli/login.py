"""``czo-auth login``: get an API key for this machine, approved in the browser (RFC 8628)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from czo_auth.cli.options import examples, target_path

EXAMPLE = examples(
    "czo-auth login https://auth.example.com",
    "czo-auth login https://auth.example.com --scope orders:read --days 30",
)


def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the deployment.", show_default=False)],
    scope: Annotated[
        list[str] | None, typer.Option(help="A scope for the key; repeat it for more.", metavar="SCOPE")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the key; by default the name of this machine.")
    ] = None,
    days: Annotated[int, typer.Option(help="Days until the key expires.", min=1, max=3650)] = 90,
    organization: Annotated[
        str | None, typer.Option(help="Id of the organization that the key acts in.", metavar="ID")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            help="A file, mode 0600, instead of the system's keyring.", metavar="FILE", parser=target_path
        ),
    ] = None,
) -> None:
    """Get an API key for this machine: approve it in the browser, and it is stored here."""
    from czo_auth.cli.device_login import log_in

    log_in(url, scopes=scope or (), name=name, days=days, organization=organization, store=store)
