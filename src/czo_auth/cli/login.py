"""``czo-auth login``: get an API key for this machine, approved in the browser (RFC 8628)."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from czo_auth.cli.options import examples

if TYPE_CHECKING:
    import httpx

EXAMPLE = examples(
    "czo-auth login https://auth.example.com",
    "czo-auth login https://auth.example.com --scope orders:read --days 30",
)
CLIENT_ID: Final = "czo-auth"
GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
SERVICE: Final = "czo-auth"
_SECONDS: Final = 30.0
_MAX_INTERVAL: Final = 60


def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where the deployment is.", show_default=False)],
    scope: Annotated[
        list[str] | None, typer.Option(help="A scope for the key; repeat it for more.", metavar="SCOPE")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the key is called; by default the name of this machine.")
    ] = None,
    days: Annotated[int, typer.Option(help="How long the key lives.", min=1, max=3650)] = 90,
    organization: Annotated[
        str | None, typer.Option(help="Id of the organization that the key acts in.", metavar="ID")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(help="A file, mode 0600, instead of the system's keyring.", metavar="FILE"),
    ] = None,
) -> None:
    """Get an API key for this machine: approve it in the browser, and it is stored here."""
    import platform

    import httpx

    base = _base_of(url)
    asked = {
        "client_id": CLIENT_ID,
        "name": name or f"{CLIENT_ID} on {platform.node() or 'a machine'}"[:200],
        "scope": " ".join(scope or ()),
        "expiresIn": str(days * 86400),
    }
    if organization is not None:
        asked["organizationId"] = organization
    # Redirects are not followed: they would show the device code to someone else.
    with httpx.Client(timeout=_SECONDS, follow_redirects=False) as client:
        codes = _answer(client.post(f"{base}/device/code", data=asked))
        typer.echo(f"Open {codes['verification_uri_complete']}", err=True)
        typer.echo(f"and check that it shows the code {codes['user_code']}.", err=True)
        key = _wait(client, base, codes)
    where = _store(url.rstrip("/"), key, store)
    typer.echo(f"Logged in. The key is in {where}.", err=True)


def _base_of(url: str) -> str:
    parts = urlsplit(url)
    is_near = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise typer.BadParameter("the address must be like https://auth.example.com", param_hint="URL")
    if parts.scheme == "http" and not is_near:
        raise typer.BadParameter("keys travel over https only, but within this machine", param_hint="URL")
    return url.rstrip("/") + ("" if parts.path.strip("/") else "/api/auth")


def _answer(response: httpx.Response) -> dict[str, Any]:
    try:
        body: dict[str, Any] = response.json()
    except ValueError:
        body = {}
    if response.status_code != 200:
        said = body.get("message") or f"the server answered {response.status_code}"
        typer.echo(f"error: {said}", err=True)
        raise typer.Exit(1)
    return body


def _wait(client: httpx.Client, base: str, codes: dict[str, Any]) -> str:
    """Ask until somebody decided, as slowly as the server says. Source: RFC 8628 section 3.5."""
    interval = float(codes["interval"])
    until = time.monotonic() + float(codes["expires_in"])
    form = {"grant_type": GRANT, "device_code": codes["device_code"], "client_id": CLIENT_ID}
    while time.monotonic() < until:
        time.sleep(min(interval, _MAX_INTERVAL))
        response = client.post(f"{base}/device/token", data=form)
        error = response.json().get("error") if response.status_code == 400 else None
        if error == "slow_down":
            interval += 5
        elif error != "authorization_pending":
            return str(_answer(response)["access_token"])
    typer.echo("error: nobody approved the request in time", err=True)
    raise typer.Exit(1)


def _store(url: str, key: str, file: Path | None) -> str:
    """Keep the key in the system's keyring where there is one, else in a file that only its owner reads."""
    if file is None:
        try:
            import keyring
            from keyring.backends.fail import Keyring

            if not isinstance(keyring.get_keyring(), Keyring):
                keyring.set_password(SERVICE, url, key)
                return "the system's keyring"
        except Exception as error:
            # A keyring that is locked, or has no session to talk to, is not one.
            typer.echo(f"note: the keyring is not used ({type(error).__name__})", err=True)
    path = file or _default_file()
    _write_private(path, _kept(path) | {url: key})
    return str(path)


def _default_file() -> Path:
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / "czo-auth" / "keys.json"


def _kept(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        typer.echo(f"error: {path} holds something else; name another file with --store", err=True)
        raise typer.Exit(1) from None
    return found if isinstance(found, dict) else {}


def _write_private(path: Path, keys: dict[str, str]) -> None:
    """Replace the file in one step; it is never readable by others, not even while it is written."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(keys, file, indent=2, sort_keys=True)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
