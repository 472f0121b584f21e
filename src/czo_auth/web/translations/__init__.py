"""What the pages say: one catalogue a language, chosen by the browser's."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

LANGUAGES = ("en", "fr")
"""The default first."""

_RANGE = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q=\s*([01](?:\.[0-9]{0,3})?)\s*)?")
_MAX_HEADER = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Translations:
    """One language's catalogue."""

    language: str
    entries: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """
        Say *key*, with *values* put in.

        Raises:
            KeyError: The catalogue has no such key, or its sentence needs another value.
        """
        return self.entries[key].format_map(values) if values else self.entries[key]

    def find(self, *keys: str) -> str | None:
        """Say the first of *keys* that the catalogue has."""
        return next((self.entries[key] for key in keys if key in self.entries), None)

    def name(self, group: str, word: str) -> str:
        """Return what *word* of *group* is called, or *word* itself: hosts have actor types of their own."""
        return self.entries.get(f"{group}.{word}", word)

    def moment(self, at: datetime, *, seconds: bool = False) -> str:
        """Write a time for people, in UTC, as nobody told the server where they are."""
        utc = at.astimezone(UTC)
        month = self.entries["time.months"].split()[utc.month - 1]
        return f"{utc.day} {month} {utc.year}, {utc.strftime('%H:%M:%S' if seconds else '%H:%M')} UTC"


@cache
def catalogue(language: str) -> Translations:
    """Read the catalogue of *language*, one of `LANGUAGES`."""
    tree = tomllib.loads(files(__package__).joinpath(f"{language}.toml").read_text("utf-8"))
    entries = {f"{group}.{key}": text for group, texts in tree.items() for key, text in texts.items()}
    return Translations(language=language, entries=entries)


def best_language(accepted: str) -> str:
    """
    Choose a language by an ``Accept-Language`` header; the first of `LANGUAGES` when none fits.

    Source: RFC 9110 section 12.5.4.
    """
    wishes: list[tuple[float, int, str]] = []
    for place, part in enumerate(accepted[:_MAX_HEADER].split(",")):
        found = _RANGE.fullmatch(part)
        if found is not None:
            wishes.append((-float(found[2] or 1), place, found[1].lower()))
    for weight, _, language in sorted(wishes):
        if weight < 0 and language in LANGUAGES:
            return language
        if weight < 0 and language == "*":
            return LANGUAGES[0]
    return LANGUAGES[0]
