"""The client of the device authorization grant behind ``czo-auth login`` (RFC 8628)."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import typer

from czo_auth.cli.command import REFUSED, UNAVAILABLE, fail, note
from czo_auth.core.text import escape_control

CLIENT_ID: Final = "czo-auth"
GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
SERVICE: Final = "czo-auth"
_SECONDS: Final = 30.0
_MAX_INTERVAL: Final = 60
_SLOWER_BY: Final = 5
"""Seconds that ``slow_down`` adds. Source: RFC 8628 section 3.5."""
_CANCELLED: Final = 130
"""128 plus the number of SIGINT, as in shells."""


def log_in(
    url: str,
    *,
    scopes: Sequence[str],
    name: str | None,
    days: int,
    organization: str | None,
    store: Path | None,
) -> None:
    """
    Get an API key and store it.

    Args:
        url: Address of the deployment.
        scopes: Of the key.
        name: Of the key; by default the name of this machine.
        days: Until the key expires.
        organization: Id of the organization that the key acts in.
        store: A file instead of the system's keyring.

    Raises:
        SystemExit: It was refused, or the server is unavailable; the reason is on stderr.
        typer.BadParameter: The address is not a deployment's.
    """
    base = _base_of(url)
    if store is not None:
        # A file that cannot store the key is refused before the key is approved.
        try:
            _kept(store)
        except (OSError, _OtherContentError) as error:
            fail(str(error), REFUSED)
    asked = {
        "client_id": CLIENT_ID,
        "name": name or f"{CLIENT_ID} on {platform.node() or 'a machine'}"[:200],
        "scope": " ".join(scopes),
        "expiresIn": str(days * 86400),
    }
    if organization is not None:
        asked["organizationId"] = organization
    # Redirects are not followed: they would show the device code to someone else.
    with httpx.Client(timeout=_SECONDS, follow_redirects=False) as client:
        codes = _begin(client, base, asked)
        typer.echo(f"Open {escape_control(codes.page)}", err=True)
        typer.echo(f"and check that it shows the code {escape_control(codes.user_code)}.", err=True)
        try:
            key = _wait(client, base, codes)
        except KeyboardInterrupt:
            # If the key is still approved, nobody fetches it, and the server ends it.
            fail("cancelled; nothing was stored", _CANCELLED)
        try:
            where = _store(url.rstrip("/"), key, store)
        except (OSError, _OtherContentError) as error:
            is_revoked = _give_back(client, base, codes)
            fail(f"the key was not stored{' and is revoked' if is_revoked else ''}: {error}", REFUSED)
    typer.echo(f"Logged in. The key is in {where}.", err=True)


def _base_of(url: str) -> str:
    parts = urlsplit(url)
    is_near = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise typer.BadParameter("the address must be like https://auth.example.com", param_hint="URL")
    if parts.scheme == "http" and not is_near:
        raise typer.BadParameter(
            "keys are sent over https only, except within this machine", param_hint="URL"
        )
    return url.rstrip("/") + ("" if parts.path.strip("/") else "/api/auth")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Codes:
    """The server's response to the request. Source: RFC 8628 section 3.2."""

    device_code: str = field(repr=False)
    user_code: str
    page: str
    seconds: float
    interval: float

    @property
    def form(self) -> dict[str, str]:
        """The body of a poll."""
        return {"grant_type": GRANT, "device_code": self.device_code, "client_id": CLIENT_ID}


def _begin(client: httpx.Client, base: str, asked: dict[str, str]) -> _Codes:
    response = _post(client, f"{base}/device/code", asked)
    if response is None:
        fail(f"{base} does not answer, try again", UNAVAILABLE)
    body = _answer(response)
    try:
        return _Codes(
            device_code=str(body["device_code"]),
            user_code=str(body["user_code"]),
            page=str(body["verification_uri_complete"]),
            seconds=float(body["expires_in"]),
            # The default of RFC 8628 section 3.2.
            interval=float(body.get("interval", 5)),
        )
    except (KeyError, TypeError, ValueError):
        fail(f"{base} does not answer as a deployment of czo-auth does", REFUSED)


def _wait(client: httpx.Client, base: str, codes: _Codes) -> str:
    """
    Poll until the request is decided or the codes expire, at the interval that the server sets.

    A server that does not answer, or is unavailable, is polled again at doubling intervals.
    Source: RFC 8628 section 3.5.
    """
    interval = pause = codes.interval
    is_silent = False
    until = time.monotonic() + codes.seconds
    while True:
        if time.monotonic() >= until:
            if is_silent:
                fail(f"{base} does not answer, try again", UNAVAILABLE)
            fail("nobody approved the request in time", REFUSED)
        time.sleep(min(pause, _MAX_INTERVAL))
        response = _post(client, f"{base}/device/token", codes.form)
        if response is None:
            if not is_silent:
                note("the server does not answer; still trying")
            is_silent, pause = True, pause * 2
            continue
        error = _body_of(response).get("error") if response.status_code == 400 else None
        if error == "slow_down":
            interval += _SLOWER_BY
        elif error != "authorization_pending":
            return _key_of(_answer(response))
        is_silent, pause = False, interval


def _post(client: httpx.Client, url: str, form: dict[str, str]) -> httpx.Response | None:
    """Send a form; None if the server cannot be reached, is unavailable, or limits the rate."""
    try:
        response = client.post(url, data=form)
    except httpx.HTTPError:
        return None
    is_temporary = response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.status_code >= 500
    return None if is_temporary else response


def _answer(response: httpx.Response) -> dict[str, Any]:
    body = _body_of(response)
    if response.status_code != 200:
        fail(f"{body.get('message') or f'the server answered {response.status_code}'}", REFUSED)
    return body


def _body_of(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _key_of(body: dict[str, Any]) -> str:
    key = body.get("access_token")
    if not isinstance(key, str):
        fail("the server approved the request and sent no key", REFUSED)
    return key


def _give_back(client: httpx.Client, base: str, codes: _Codes) -> bool:
    """
    Make the server revoke a key that was not stored: it revokes a key that is fetched a second time within a minute.
    """
    return _post(client, f"{base}/device/token", codes.form) is not None


def _store(url: str, key: str, file: Path | None) -> str:
    """Store the key in the system's keyring, if there is one, else in a file that only its owner can read."""
    if file is None:
        try:
            import keyring
            from keyring.backends.fail import Keyring

            if not isinstance(keyring.get_keyring(), Keyring):
                keyring.set_password(SERVICE, url, key)
                return "the system's keyring"
        except Exception as error:
            # A locked keyring, or one without a session, cannot be used.
            typer.echo(f"note: the keyring is not used ({type(error).__name__})", err=True)
    path = file or _default_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(path.parent):
        _write_private(path, _kept(path) | {url: key})
    return str(path)


def _default_file() -> Path:
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / "czo-auth" / "keys.json"


class _OtherContentError(Exception):
    """The file holds something other than keys, which is not overwritten."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} holds something else; name another file with --store")


def _kept(path: Path) -> dict[str, str]:
    """Read the keys that are stored already, by the address of their deployment."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise _OtherContentError(path) from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise _OtherContentError(path)
    return found


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let only one command at a time change the files of *folder*, because each rewrites what it read."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write_private(path: Path, keys: dict[str, str]) -> None:
    """Replace the file in one step; it is never readable by others, not even while it is written."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(keys, file, indent=2, sort_keys=True)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
