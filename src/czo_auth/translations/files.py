"""A deployment's own translation files: read once, at the start, and refused if they are broken."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Any, Final

from czo_auth.core.limits import MAX_TRANSLATION_BYTES
from czo_auth.errors import StartRefused

OWN_GROUP: Final = "own"
"""The prefix of texts for a deployment's own templates; every other key must be one of ours."""
_LANGUAGE = re.compile(r"[a-z]{2,8}")
_MUST_STAY: Final = "link"
"""Texts of mails that must keep their link."""


class BrokenFile(Exception):
    """A translation file cannot be used; the message says why, and in which line."""


def flatten(text: str) -> dict[str, str]:
    """
    Read a TOML document of tables of strings as one flat mapping, ``{"mail.invitation.subject": …}``.

    Raises:
        BrokenFile: It is not TOML, or a value is not text.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BrokenFile(str(error)) from None
    return dict(_leaves(tree, "", text))


def read_overrides(folder: Path, known: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """
    Read all files of *folder* that end in ``.toml``, by language.

    Raises:
        StartRefused: The folder or a file cannot be read, or a text cannot be used in place of the one in *known*.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except OSError as error:
        raise StartRefused(
            f"CZO_AUTH_TRANSLATIONS_DIR names a folder that cannot be read: {error.strerror}."
        ) from None
    found = {}
    for path in paths:
        try:
            found[_language_of(path)] = _checked(_read(path), known)
        except BrokenFile as broken:
            raise StartRefused(f"CZO_AUTH_TRANSLATIONS_DIR: {path.name} is broken: {broken}.") from None
    return found


def _language_of(path: Path) -> str:
    if not _LANGUAGE.fullmatch(path.stem):
        raise BrokenFile("its name is not that of a language, like de.toml")
    return path.stem


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TRANSLATION_BYTES + 1)
    except OSError as error:
        raise BrokenFile(f"it cannot be read: {error.strerror}") from None
    if len(content) > MAX_TRANSLATION_BYTES:
        raise BrokenFile(f"it has more than {MAX_TRANSLATION_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BrokenFile(f"it is not UTF-8 (at line {line})") from None


def _checked(text: str, known: Mapping[str, str]) -> dict[str, str]:
    entries = flatten(text)
    for key, entry in entries.items():
        reason = _why_not(key, entry, known)
        if reason is not None:
            raise BrokenFile(f"{key} {reason} (at line {_line_of(text, key)})")
    return entries


def _why_not(key: str, entry: str, known: Mapping[str, str]) -> str | None:
    """Return why *entry* cannot be used; None if it can."""
    own = key.startswith(f"{OWN_GROUP}.")
    if not own and key not in known:
        return "is not one of our texts"
    if not entry.strip():
        return "is empty"
    values = _values_in(entry)
    if values is None:
        return "has a brace that belongs to no value"
    ours = values if own else _values_in(known[key]) or set()
    if values - ours:
        allowed = ", ".join(f"{{{name}}}" for name in sorted(ours)) or "no value"
        return f"puts in {{{min(values - ours)}}}, where there is {allowed}"
    if _MUST_STAY in ours - values:
        return f"leaves out {{{_MUST_STAY}}}"
    if key == "time.months" and len(entry.split()) != 12:
        return "does not hold twelve names of months"
    return None


def _values_in(entry: str) -> set[str] | None:
    """Return the names in braces; None if a brace is not part of a placeholder."""
    try:
        parts = list(Formatter().parse(entry))
    except ValueError:
        return None
    names = {name for _, name, _, _ in parts if name is not None}
    plain = all(not spec and conversion is None for _, name, spec, conversion in parts if name is not None)
    return names if plain and all(re.fullmatch(r"[a-z_]+", name) for name in names) else None


def _leaves(tree: Mapping[str, Any], start: str, text: str) -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        key = f"{start}{name}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{key}.", text)
        elif isinstance(value, str) and start:
            yield key, value
        else:
            reason = "is not a text in quotes" if start else "is outside of every table"
            raise BrokenFile(f"{key} {reason} (at line {_line_of(text, key)})")


def _line_of(text: str, key: str) -> int:
    """Find the line that assigns *key*: the last one that begins with it, below the header of its table."""
    table, _, name = key.rpartition(".")
    current, found = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        head = re.match(r"\s*\[\s*([A-Za-z0-9_.\s-]+?)\s*\]", line)
        if head is not None:
            current = re.sub(r"\s", "", head[1])
        given = re.match(r"\s*([A-Za-z0-9_.-]+|\"[^\"]*\")\s*=", line)
        if given is None:
            continue
        whole = ".".join(part for part in (current, given[1].strip('"')) if part)
        if whole == key or (current == table and given[1].strip('"') == name):
            found = number
    return found
