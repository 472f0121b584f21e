"""The embedded default: a private folder with a database and an encryption key (S11)."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from czo_auth.crypto.sealing import new_key_text
from czo_auth.errors import StartRefused
from czo_auth.setting_sources import KEY_VARIABLE, WrongSetting, variable_of
from czo_auth.settings import DATABASE_FILE, KEY_FILE, Settings


def read_settings(**chosen: object) -> Settings:
    """
    Read the settings of the standalone server from the environment, *chosen* ones first.

    Raises:
        StartRefused: One makes no sense; the message names it and never shows its value.
    """
    if not os.environ.get("CZO_AUTH_PAGES_ENABLED"):
        chosen = {"pages_enabled": True, **chosen}
    given = {name: value for name, value in chosen.items() if value is not None}
    if "database_url" in given:
        # The environment's belongs to the environment's database.
        given.setdefault("database_direct_url", None)
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        raise StartRefused(f"A setting is wrong: {sentence_of(error)}") from None
    except SettingsError as error:
        raise StartRefused(f"A setting is wrong: {_unreadable(error)}") from None
    except WrongSetting as error:
        sentence = str(error)
        raise StartRefused(sentence if sentence.endswith("?") else f"{sentence}.") from None


def sentence_of(error: ValidationError) -> str:
    """Return which settings are wrong and why, without their values."""
    return "; ".join(
        f"{_named(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors(include_input=False, include_context=False, include_url=False)
    )


def _named(place: tuple[int | str, ...]) -> str:
    if not place:
        return "the settings"
    first = str(place[0])
    variable = first if first == KEY_VARIABLE else variable_of(first)
    return ".".join([variable, *(str(part) for part in place[1:])])


def _unreadable(error: SettingsError) -> str:
    # The library names the field and quotes no value: error parsing value for field "x" from source "y".
    found = re.search(r'field "(\w+)"', str(error))
    return f"{variable_of(found[1])}: must be JSON" if found else "one is not JSON where it must be"


def settings_with_local_key(settings: Settings | None = None) -> Settings:
    """
    Complete *settings* with the key file of the data folder, where the deployment is the embedded default.

    The key is made when there is neither a key nor a database yet, outside production, and in no other case.

    Raises:
        StartRefused: There is no key and none may be made, or the folder cannot be used.
    """
    settings = settings or read_settings()
    if not settings.is_embedded_default:
        return settings
    key_file = settings.data_dir / KEY_FILE
    try:
        if settings.encryption_key is not None:
            make_data_folder(settings.data_dir)
            return settings
        text = key_file.read_text("ascii").strip() if key_file.exists() else _first_key(settings)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        if settings.encryption_key is not None:
            raise StartRefused(f"The data folder {settings.data_dir} cannot be used: {reason}.") from None
        raise StartRefused(
            f"AUTH_ENCRYPTION_KEY is not set and {key_file} cannot be used: {reason}."
        ) from None
    return settings.model_copy(update={"encryption_key": SecretStr(text)})


def make_data_folder(folder: Path) -> None:
    """Make the folder, for its owner alone, unless it is there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _first_key(settings: Settings) -> str:
    folder = settings.data_dir
    key_file = folder / KEY_FILE
    if (folder / DATABASE_FILE).exists() and not key_file.exists():
        raise StartRefused(
            f"AUTH_ENCRYPTION_KEY is missing: {folder / DATABASE_FILE} exists, but its key file {key_file} "
            "is gone. Put the file back, or set AUTH_ENCRYPTION_KEY."
        )
    if settings.is_production:
        raise StartRefused(
            "AUTH_ENCRYPTION_KEY is missing: production makes no key by itself. "
            "Set it to the output of `czo-auth keys generate`."
        )
    make_data_folder(folder)
    # Written aside and then given its name, so that of several processes that start together one wins, and the
    # others never read half a key.
    handle, draft = tempfile.mkstemp(dir=folder, prefix=f"{KEY_FILE}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(new_key_text() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, key_file)
    finally:
        os.unlink(draft)
    return key_file.read_text("ascii").strip()
