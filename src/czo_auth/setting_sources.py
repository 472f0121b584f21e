"""Where settings come from besides arguments: mounted files, and an environment without misspelled names."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from czo_auth.core.limits import MAX_SETTING_FILE_BYTES

PREFIX: Final = "CZO_AUTH_"
KEY_VARIABLE: Final = "AUTH_ENCRYPTION_KEY"
OTHER_VARIABLES: Final = frozenset({"CZO_AUTH_APP"})
"""Read by the command line, and no setting."""


class WrongSetting(ValueError):
    """A setting in the environment cannot be used; says which in one sentence, and shows no value."""


def variable_of(name: str) -> str:
    """Return the environment variable of the setting *name*."""
    return KEY_VARIABLE if name == "encryption_key" else f"{PREFIX}{name.upper()}"


class Files(PydanticBaseSettingsSource):
    """
    Reads ``<NAME>_FILE``: the value of a setting from a file, as orchestrators mount secrets.

    Args:
        names: The settings that may come from a file.
        structured: Those of them whose file is JSON or, with the ending ``.toml``, TOML.

    Raises:
        WrongSetting: The file cannot be used, the setting is there twice, or a variable has no setting.
    """

    def __init__(
        self, settings: type[BaseSettings], *, names: Iterable[str], structured: Iterable[str]
    ) -> None:
        super().__init__(settings)
        self._names = tuple(names)
        self._structured = frozenset(structured)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: `__call__` reads all of them."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        # As pydantic-settings reads the environment: in any case, and an empty value is not one.
        environment = {name.upper(): value for name, value in os.environ.items() if value.strip()}
        refuse_unknown(environment, self.settings_cls.model_fields, self._names)
        found = {}
        for name in self._names:
            variable = variable_of(name)
            path = environment.get(f"{variable}_FILE")
            if path is None:
                continue
            if variable in environment:
                raise WrongSetting(f"{variable} and {variable}_FILE are both set: remove one of them")
            if name in self.current_state:
                # An argument; it wins.
                continue
            found[name] = self._read(variable, Path(path), name)
        return found

    def _read(self, variable: str, path: Path, name: str) -> Any:
        text = read_text(path, f"{variable}_FILE")
        if name not in self._structured:
            return text
        try:
            if path.suffix != ".toml":
                return json.loads(text)
            # A document of TOML is a table: the list has the setting's name in it.
            return tomllib.loads(text)[name]
        except (ValueError, KeyError):
            raise WrongSetting(
                f"{variable}_FILE names a file that holds neither a JSON list nor, called .toml, tables {name}"
            ) from None


def read_text(path: Path, variable: str) -> str:
    """
    Read a small text without the blanks around it.

    Raises:
        WrongSetting: It cannot be read, is empty, too large, or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SETTING_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a path"
        raise WrongSetting(f"{variable} names a file that cannot be read: {reason}") from None
    if len(content) > MAX_SETTING_FILE_BYTES:
        raise WrongSetting(f"{variable} names a file that has more than {MAX_SETTING_FILE_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise WrongSetting(f"{variable} names a file that is not text") from None
    if not text:
        raise WrongSetting(f"{variable} names a file that is empty")
    return text


def refuse_unknown(
    environment: Iterable[str], fields: Mapping[str, FieldInfo], from_files: Iterable[str]
) -> None:
    """
    Refuse a variable that begins like ours and is not one: it is misspelled, and would be ignored.

    Raises:
        WrongSetting: There is one; the sentence names the nearest that exists.
    """
    known = {variable_of(name) for name in fields} | {f"{variable_of(name)}_FILE" for name in from_files}
    known |= OTHER_VARIABLES
    for variable in sorted(environment):
        if variable.startswith((PREFIX, "AUTH_ENCRYPTION")) and variable not in known:
            near = difflib.get_close_matches(variable, known, n=1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise WrongSetting(f"{variable} is not a setting{hint}")
