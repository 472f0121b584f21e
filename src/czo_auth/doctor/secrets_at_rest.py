"""Checks of the encryption key, and of the files that only their owner may use."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from czo_auth.crypto.sealing import KeyRing
from czo_auth.doctor.finding import Check, Finding
from czo_auth.errors import StartRefused
from czo_auth.runtime.key_ring import read_key_ring
from czo_auth.settings import KEY_FILE, Settings
from czo_auth.storage.sqlite_file import database_path

KEY: Final = Check(
    "encryption-key",
    "It encrypts TOTP secrets and signing keys. Without it, the server does not start.",
    ("11.3.2", "11.3.3"),
)
KEY_PLACE: Final = Check(
    "encryption-key-place",
    "A key beside the database is stolen and backed up together with it.",
    ("13.3.1", "13.3.2"),
)
FILES: Final = Check(
    "file-modes", "Other users of this machine must not be able to read secrets.", ("13.3.2",)
)
SEALED: Final = Check(
    "sealed-rows",
    "The key must be the one that encrypted this database. After a rotation, no row may use the old one.",
    ("11.2.2",),
)
CHECKS: Final = (KEY, KEY_PLACE, FILES, SEALED)

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def with_key_of_file(settings: Settings) -> Settings:
    """Complete *settings* with the key file of the data folder, if there is one. Nothing is created."""
    if settings.encryption_key is not None or not settings.is_embedded_default:
        return settings
    try:
        text = (settings.data_dir / KEY_FILE).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return settings
    return settings.model_copy(update={"encryption_key": SecretStr(text)})


def find_key_ring(settings: Settings) -> KeyRing | None:
    """Read the key ring; None if there is no valid one."""
    try:
        return read_key_ring(settings)
    except StartRefused:
        return None


def check_secrets(settings: Settings, completed: Settings) -> Iterator[Finding]:
    """
    Check the key and the files, without the database.

    Args:
        settings: As configured.
        completed: The same with the key file's key.
    """
    yield _key(settings, completed)
    yield _key_place(settings)
    yield _files(settings)


def _key(settings: Settings, completed: Settings) -> Finding:
    if completed.encryption_key is None and settings.is_embedded_default and not _has_database(settings):
        if settings.is_production:
            return KEY.fail(
                "none, and production does not create one",
                "Set AUTH_ENCRYPTION_KEY to the output of `czo-auth keys generate`.",
            )
        return KEY.unknown("none yet: the first start creates one", "Run `czo-auth serve`.")
    try:
        ring = read_key_ring(completed)
    except StartRefused as refused:
        return KEY.fail(
            str(refused), "Set AUTH_ENCRYPTION_KEY to the key that this database was started with."
        )
    older = f", and {len(ring.kids) - 1} older" if len(ring.kids) > 1 else ""
    return KEY.ok(f"{ring.primary}{older}, 256 bits each, AES-GCM")


def _key_place(settings: Settings) -> Finding:
    file = settings.data_dir / KEY_FILE
    if settings.encryption_key is not None:
        if settings.is_embedded_default and file.exists():
            return KEY_PLACE.warn(
                f"configured, but {file} exists too",
                "Remove the file once you are sure that it is not needed.",
            )
        return KEY_PLACE.ok("configured, not stored here")
    if not settings.is_embedded_default or not file.exists():
        return KEY_PLACE.unknown("there is no key")
    if settings.is_production:
        return KEY_PLACE.warn(
            f"{file}, beside the database",
            "Store it in a secret manager, set AUTH_ENCRYPTION_KEY from there, and remove the file.",
        )
    return KEY_PLACE.ok(f"{file}, beside the database, as in development")


def _files(settings: Settings) -> Finding:
    files = [Path(settings.data_dir / KEY_FILE)] if settings.is_embedded_default else []
    if settings.storage_url.startswith("sqlite:"):
        database = database_path(settings.storage_url)
        files += [Path(database + end) for end in ("", "-wal", "-shm")]
    modes = {file: mode for file in files if (mode := _mode(file)) is not None}
    if not modes:
        return FILES.ok("no files")
    loose = [f"{file} ({mode:04o})" for file, mode in modes.items() if mode & _OTHERS]
    if loose:
        return FILES.fail(
            f"other users can access {', '.join(loose)}", f"chmod 600 {' '.join(str(file) for file in modes)}"
        )
    return FILES.ok(f"{', '.join(file.name for file in modes)}: accessible only to their owner")


def _has_database(settings: Settings) -> bool:
    return Path(database_path(settings.storage_url)).exists()


def _mode(file: Path) -> int | None:
    try:
        return stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return None


def check_sealed(
    ring: KeyRing | None, *, check_values: Mapping[str, str], sealed: Mapping[str, int]
) -> Finding:
    """
    Compare the key ring with what the database stores about it.

    Args:
        check_values, sealed: As in ``core.flows.administration.overview``.
    """
    if ring is None:
        return SEALED.unknown("there is no key to compare with")
    counted = (
        ", ".join(f"{kid} encrypts {count}" for kid, count in sorted(sealed.items()))
        or "nothing is encrypted"
    )
    wrong = [
        kid for kid in ring.kids if check_values.get(kid, ring.check_value(kid)) != ring.check_value(kid)
    ]
    if wrong:
        return SEALED.fail(
            f"{', '.join(wrong)} is not the key that encrypted this database",
            "Set AUTH_ENCRYPTION_KEY to the key of this database.",
        )
    missing = sorted(kid for kid, count in sealed.items() if count and kid not in ring.kids)
    if missing:
        return SEALED.fail(
            f"{counted}; {', '.join(missing)} is not configured",
            "Add it at the end of AUTH_ENCRYPTION_KEY again, and run `czo-auth keys rotate`.",
        )
    left = [kid for kid, count in sealed.items() if count and kid != ring.primary]
    if left:
        return SEALED.warn(f"{counted}; {ring.primary} is the primary", "Run `czo-auth keys rotate`.")
    return SEALED.ok(counted)
