"""``czo-auth serve``: the server, and what it prints when it is ready."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from czo_auth.cli.options import DatabaseUrl, DataDir, examples

if TYPE_CHECKING:
    from czo_auth.settings import Settings

EXAMPLE = examples("czo-auth serve --port 8000 --data-dir ./czo-auth-data")

NO_MAIL = "WARNING: not configured. Password resets, invitations and notices are lost until CZO_AUTH_SMTP_URL is set"


def serve(
    host: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="Address to listen on; 127.0.0.1 by default.", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", help="Port to listen on; 8000 by default, 0 takes a free one.", show_default=False
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Server processes; 1 by default.", show_default=False)
    ] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Run the server: the API, GraphQL and health, on one port.

    Without settings it makes a data folder with a database and an encryption key. Ctrl-C ends it.
    """
    from czo_auth.cli.command import chosen_settings, exit_on_signals, reporting
    from czo_auth.extras import require_extra

    with exit_on_signals(), reporting():
        # Before an encryption key is made for a server that cannot start.
        require_extra("server", "czo-auth serve")
        settings = chosen_settings(
            creates=True, host=host, port=port, workers=workers, data_dir=data_dir, database_url=database_url
        )
        from czo_auth.cli.processes import serve as run

        run(settings, when_ready=_say_ready)


def _say_ready(settings: Settings) -> None:
    here = settings.model_copy(update={"base_url": None}).public_url
    docs = (
        f"{here}{settings.base_path}/docs"
        if settings.docs_are_open
        else "closed (CZO_AUTH_API_DOCS opens them)"
    )
    lines = {
        "first administrator": _create_administrator(settings),
        **({"account pages": f"{here}{settings.pages_path}/"} if settings.pages_enabled else {}),
        "API docs": docs,
        "GraphQL": f"{here}/graphql",
        "health": f"{here}/healthz, {here}/readyz",
        **_where(settings),
        **({"mail": NO_MAIL} if _loses_mail(settings) else {}),
    }
    if settings.base_url is not None:
        lines["clients use"] = settings.base_url
    text = "".join(f"  {name:<21}{value}\n" for name, value in lines.items())
    try:
        print(f"czo-auth is ready on {here}\n\n{text}\nCtrl-C stops.", flush=True)
    except OSError:
        # Nobody reads the output; the server still serves.
        return


def _loses_mail(settings: Settings) -> bool:
    from czo_auth.cli.host import host_auth

    host = host_auth()
    is_set = settings.smtp_url is not None or (host is not None and host.has_own_mail)
    return settings.is_production and not is_set


def _where(settings: Settings) -> dict[str, str]:
    """Say where the database and the key are, which have to be backed up both."""
    keys = _keys(settings)
    noun = "encryption keys" if "," in keys else "encryption key"
    if settings.is_embedded_default:
        folder = settings.data_dir.absolute()
        if _key_file_holds(settings, keys):
            return {"data folder": f"{folder} (database and {noun}: back up both)"}
        lines = {"data folder": f"{folder} (the database alone)"}
    else:
        from czo_auth.cli.command import described

        lines = {"database": described(settings.storage_url)}
    return {
        **lines,
        noun: f"{_key_variable(keys) or 'from the code of --app'} (in no backup of the database: keep a copy)",
    }


def _keys(settings: Settings) -> str:
    return "" if settings.encryption_key is None else settings.encryption_key.get_secret_value().strip()


def _key_file_holds(settings: Settings, keys: str) -> bool:
    from czo_auth.settings import KEY_FILE

    return _holds(settings.data_dir / KEY_FILE, keys)


def _holds(file: Path, keys: str) -> bool:
    try:
        return file.read_text("ascii").strip() == keys
    except (OSError, UnicodeDecodeError):
        return False


def _key_variable(keys: str) -> str | None:
    """Return the name of the variable that *keys* come from, if they come from one."""
    import os

    if keys and os.environ.get("AUTH_ENCRYPTION_KEY", "").strip() == keys:
        return "AUTH_ENCRYPTION_KEY"
    file = os.environ.get("AUTH_ENCRYPTION_KEY_FILE", "").strip()
    return "AUTH_ENCRYPTION_KEY_FILE" if file and _holds(Path(file), keys) else None


def _create_administrator(settings: Settings) -> str:
    import shlex

    words = [
        *_program(),
        "users",
        "create",
        "--email",
        "you@example.com",
        "--name",
        "You",
        "--actor-type",
        "admin",
    ]
    variable = _key_variable(_keys(settings))
    same = [] if variable is None else [variable]
    if settings.is_embedded_default:
        words += ["--data-dir", str(settings.data_dir.absolute())]
    elif settings.storage_url.startswith("sqlite:"):
        words += ["--database-url", settings.storage_url]
    else:
        same.append("CZO_AUTH_DATABASE_URL")
    return shlex.join(words) + (f"  (with the same {' and '.join(same)})" if same else "")


def _program() -> list[str]:
    """Return the command that starts this program from the server's working folder."""
    import os
    import shutil
    import sys
    from pathlib import Path

    called = sys.argv[0]
    if os.path.basename(called) == "__main__.py":
        return [sys.executable, "-m", "czo_auth"]
    found = shutil.which("czo-auth")
    if found is not None and Path(found).resolve() == Path(called).resolve():
        return ["czo-auth"]
    relative = os.path.relpath(called)
    return [called if relative.startswith("..") else relative]
