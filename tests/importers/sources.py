"""
Databases of other systems: made by their own packages, or kept from such a run.

``python -m tests.importers.sources`` makes what is kept again: text in ``databases/``, and what the users there know.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.authenticator import Authenticator, decode, encode
from tests.support.npm import installed
from tests.support.registry import fetch, kept_packages

HERE = Path(__file__).parent
KEPT = HERE / "databases"
SECRET = "the secret of the old system, long enough"
ORIGIN = "http://localhost:8000"
DJANGO = {
    "django-allauth": "allauth",
    "django-otp": "django_otp",
    "django-mfa": "django_mfa",
    "django-mfa2": "mfa",
}
SOURCES = ("better-auth", "better-auth-server", *DJANGO, "fastapi-users")
PACKAGES = {
    "django": (
        *(
            "django==5.2.*",
            "django-allauth[mfa]==65.22.*",
            "django-otp==1.7.*",
            "qrcode",
            "django-mfa2==3.2.*",
        ),
        *("argon2-cffi", "bcrypt", "fastapi-users[sqlalchemy]==15.0.*", "aiosqlite"),
    ),
    "django-mfa": ("django==5.2.*", "django-mfa==4.6.*", "argon2-cffi", "bcrypt"),
    "better-auth-server": ("better-auth-server[fastapi,passkey,sqlalchemy]==1.1.*", "aiosqlite", "httpx"),
}
NODE_PACKAGES = {
    "better-auth": "1.7.5",
    "@better-auth/api-key": "1.7.5",
    "@better-auth/passkey": "1.7.6",
    "better-sqlite3": "12",
}
INSTALL_SECONDS = 600


@dataclass
class Made:
    """A database, what its users know, and the authenticator of Ben's passkey, where it can sign."""

    path: Path
    knows: dict[str, Any]
    browser: Authenticator | None = field(default=None)


def kept(source: str, folder: Path) -> Made:
    """Give the database that was kept."""
    path = folder / "kept.db"
    connection = sqlite3.connect(path)
    connection.executescript((KEPT / f"{source}.sql").read_text("utf-8"))
    connection.close()
    return Made(path, json.loads((KEPT / f"{source}.json").read_text("utf-8")))


def real(source: str, folder: Path, *, encrypted: bool = False) -> Made:
    """Let the packages themselves make a database; skips the test where they cannot be had."""
    path = folder / "real.db"
    browser = Authenticator(ORIGIN, synced=True)
    if source.startswith("better-auth"):
        make = _better_auth if source == "better-auth" else _better_auth_server
        return Made(path, make(path, folder, browser), browser)
    if source == "fastapi-users":
        _run([_python("django"), str(HERE / "make" / "fastapi_users_project.py"), str(path)])
        return Made(path, {})
    given = {"registration": _registration(browser, user=b"1"), "encrypted": encrypted}
    python = _python("django-mfa" if source == "django-mfa" else "django")
    reported = _run(
        [python, str(HERE / "make" / "django_project.py"), DJANGO[source], str(path), json.dumps(given)]
    )
    knows: dict[str, Any] = json.loads(reported.splitlines()[-1])
    handle = bytes.fromhex(knows["handle"]) if "handle" in knows else str(knows["id"]).encode()
    browser.credentials[0].user_handle = handle
    return Made(path, knows, browser)


def _better_auth(path: Path, folder: Path, browser: Authenticator) -> dict[str, Any]:
    scripts = folder / "node"
    scripts.mkdir()
    shutil.copy(HERE / "make" / "better_auth.mjs", scripts)
    (scripts / "node_modules").symlink_to(_node_modules())
    command = ["node", str(scripts / "better_auth.mjs"), str(path), SECRET, json.dumps(_row_of(browser))]
    knows: dict[str, Any] = json.loads(_run(command, cwd=scripts).splitlines()[-1])
    return knows


def _better_auth_server(path: Path, folder: Path, browser: Authenticator) -> dict[str, Any]:
    script = str(HERE / "make" / "better_auth_server_project.py")
    command = [_python("better-auth-server"), script, str(path), SECRET, json.dumps(_row_of(browser))]
    knows: dict[str, Any] = json.loads(_run(command, cwd=folder).splitlines()[-1])
    return knows


def _row_of(browser: Authenticator) -> dict[str, Any]:
    """Make a passkey, and what better-auth keeps of one."""
    _registration(browser, user=b"any of theirs")
    (credential,) = browser.credentials
    import cbor2

    return {
        "name": "Key",
        "publicKey": _base64(cbor2.dumps(credential.cose_key(), canonical=True)),
        "credentialID": encode(credential.id),
        "counter": 0,
        "deviceType": "multiDevice",
        "backedUp": True,
        "transports": "internal,hybrid",
        "aaguid": "00000000-0000-0000-0000-000000000000",
    }


def _registration(browser: Authenticator, *, user: bytes) -> dict[str, Any]:
    options = {
        "challenge": encode(b"any challenge of theirs"),
        "rp": {"id": "localhost"},
        "user": {"id": encode(user)},
        "pubKeyCredParams": [{"alg": -7, "type": "public-key"}],
    }
    return browser.create(options)


def _base64(raw: bytes) -> str:
    import base64

    return base64.b64encode(raw).decode()


def _python(name: str) -> str:
    """Return the interpreter of an environment with the packages, made at first use and kept outside the tree."""
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("uv is needed to make an environment")
    packages = PACKAGES[name]

    def make(folder: Path) -> None:
        _run([str(uv), "venv", "--quiet", "--python", sys.executable, "--relocatable", str(folder)])
        install = [str(uv), "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
        fetch(install, packages=packages, seconds=INSTALL_SECONDS)

    made = kept_packages(f"import-{name}-{sys.version_info.major}.{sys.version_info.minor}", packages, make)
    return str(made / "bin" / "python")


def _node_modules() -> Path:
    return installed(NODE_PACKAGES, seconds=INSTALL_SECONDS, with_scripts=True) / "node_modules"


def _run(command: list[str], *, cwd: Path | None = None) -> str:
    ran = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def main() -> None:
    """Keep what the packages of today make."""
    KEPT.mkdir(exist_ok=True)
    for source in SOURCES:
        with tempfile.TemporaryDirectory() as folder:
            made = real(source, Path(folder))
            knows = dict(made.knows)
            if made.browser is not None and made.browser.credentials:
                knows["credential"] = encode(made.browser.credentials[0].id)
            connection = sqlite3.connect(made.path)
            # Permissions, sessions and migrations say nothing about people.
            wanted = [each for each in connection.iterdump() if not each.startswith(_NOISE)]
            connection.close()
            (KEPT / f"{source}.sql").write_text("\n".join(wanted) + "\n", "utf-8")
            (KEPT / f"{source}.json").write_text(json.dumps(knows, indent=2, sort_keys=True) + "\n", "utf-8")


_NOISE = (
    'INSERT INTO "auth_permission"',
    'INSERT INTO "django_content_type"',
    'INSERT INTO "django_migrations"',
    'INSERT INTO "session"',
    'INSERT INTO "verification"',
)
__all__ = ["KEPT", "SECRET", "SOURCES", "Made", "decode", "kept", "real"]

if __name__ == "__main__":
    main()
