"""The catalogs of all languages, and how one is chosen."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from czo_auth.core.text import relative_time
from czo_auth.errors import StartRefused
from czo_auth.translations.files import flatten, read_overrides

_LOG = logging.getLogger("czo_auth")

DEFAULT_LANGUAGE: Final = "en"
"""The language that has every key, and that replaces a missing text or language."""

_RANGE = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q=\s*([01](?:\.[0-9]{0,3})?)\s*)?")
_NAME: Final = "page.language_name"
_MAX_HEADER: Final = 1000
_MAX_CHOSEN: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Translations:
    """One language's catalog."""

    language: str
    entries: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """
        Return the text of *key*, with *values* inserted.

        Raises:
            KeyError: The catalog has no such key, or its text needs another value.
        """
        return self.entries[key].format_map(values) if values else self.entries[key]

    def find(self, *keys: str) -> str | None:
        """Return the text of the first of *keys* that the catalog has."""
        return next((self.entries[key] for key in keys if key in self.entries), None)

    def name(self, group: str, word: str) -> str:
        """Return the text of *word* in *group*, or *word* itself: hosts have actor types of their own."""
        return self.entries.get(f"{group}.{word}", word)

    def counted(self, key: str, count: int, **values: object) -> str:
        """
        Return the text of *key* for *count* things. It has a singular and a plural, separated by a bar.

        Raises:
            KeyError: The catalog has no such key, or its text needs another value.
        """
        one, _, more = self.entries[key].partition(" | ")
        return (one if count == 1 else more or one).format(count=count, **values)

    def number(self, number: int) -> str:
        """Format a whole number for people, in groups of three digits."""
        separator = self.entries["page.thousand"].removeprefix("1").removesuffix("000")
        return f"{number:,}".replace(",", separator)

    def day(self, day: date) -> str:
        """Format a date for people."""
        month = self.entries["time.months"].split()[day.month - 1]
        return self("time.day", day=day.day, month=month, year=day.year)

    def relative(self, at: datetime, *, now: datetime) -> str:
        """Describe how far *at* is from *now*."""
        count, unit = relative_time(at, now=now)
        if count == 0:
            return self("time.now")
        return self.counted(f"time.{unit}_ago" if count < 0 else f"time.in_{unit}", abs(count))

    def moment(self, at: datetime, *, seconds: bool = False) -> str:
        """Format a time for people, in UTC, because the server does not know their time zone."""
        utc = at.astimezone(UTC)
        return self(
            "time.moment",
            day=utc.day,
            month=self.entries["time.months"].split()[utc.month - 1],
            year=utc.year,
            time=utc.strftime("%H:%M:%S" if seconds else "%H:%M"),
        )


class Catalogs:
    """
    The languages of one deployment.

    Args:
        folder: A deployment's own files (``de.toml`` and so on), which override ours. A language that we do not ship
            is added; texts missing from its file appear in English.
        default: The language for people whose own is unknown or not available.

    Raises:
        StartRefused: A file is broken; the message names file and line. Or there is no such default language.
    """

    def __init__(self, folder: Path | None = None, *, default: str = DEFAULT_LANGUAGE) -> None:
        catalogs = dict(_ours())
        names = {language: translations(_NAME) for language, translations in catalogs.items()}
        english = catalogs[DEFAULT_LANGUAGE].entries
        for language, own in ({} if folder is None else read_overrides(folder, english)).items():
            missing = set() if language in catalogs else set(english) - set(own)
            if missing:
                _LOG.warning("%s.toml lacks %d texts, said in English", language, len(missing))
            base = catalogs[language].entries if language in catalogs else english
            catalogs[language] = Translations(language=language, entries={**base, **own})
            names[language] = own.get(_NAME, names.get(language, language))
        if default not in catalogs:
            raise StartRefused(
                f"CZO_AUTH_DEFAULT_LANGUAGE names a language without a file; there are {', '.join(sorted(catalogs))}."
            )
        self._catalogs = catalogs
        self._chosen: dict[str, str | None] = {}
        self.default = default
        self.languages = (default, *sorted(set(catalogs) - {default}))
        """All languages, the default first."""
        self.names: Mapping[str, str] = {language: names[language] for language in sorted(names)}
        """The name of each language in that language; without one in its file, its code."""

    def __getitem__(self, language: str | None) -> Translations:
        """Return the catalog of *language*, or of the default if there is none."""
        return self._catalogs.get(language or self.default) or self._catalogs[self.default]

    def best(self, accepted: str) -> Translations:
        """
        Choose a catalog by an ``Accept-Language`` header; the default one when no language fits.

        Source: RFC 9110 section 12.5.4.
        """
        return self[self.choose(accepted)]

    def choose(self, accepted: str) -> str | None:
        """Choose a language by an ``Accept-Language`` header; None if none of its languages is available."""
        header = accepted[:_MAX_HEADER]
        if header not in self._chosen:
            # Browsers send few different headers. Many different ones are parsed each time.
            if len(self._chosen) >= _MAX_CHOSEN:
                self._chosen.clear()
            self._chosen[header] = self._choose(header)
        return self._chosen[header]

    def _choose(self, header: str) -> str | None:
        wishes: list[tuple[float, int, str]] = []
        for place, part in enumerate(header.split(",")):
            found = _RANGE.fullmatch(part)
            if found is not None:
                wishes.append((-float(found[2] or 1), place, found[1].lower()))
        for weight, _, language in sorted(wishes):
            if weight < 0 and language in self._catalogs:
                return language
            if weight < 0 and language == "*":
                return self.default
        return None


@cache
def shipped() -> Catalogs:
    """Return the catalogs as they are shipped."""
    return Catalogs()


@cache
def _ours() -> Mapping[str, Translations]:
    found = {}
    for file in files(__package__).iterdir():
        language, _, ending = file.name.rpartition(".")
        if ending == "toml":
            entries = flatten(file.read_text("utf-8"))
            found[language] = Translations(language=language, entries=entries)
    return found
