"""Column types with the same meaning on both databases."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)

# One encoder: json.dumps makes a new one for each call with options.
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def to_milliseconds(at: datetime) -> int:
    """
    Return the whole milliseconds from 1970 to *at*, rounded down.

    Raises:
        ValueError: *at* is naive, so its moment is unknown.
    """
    if at.tzinfo is None:
        raise ValueError("a time without a zone cannot be stored")
    return (at - EPOCH) // MILLISECOND


def from_milliseconds(value: int) -> datetime:
    """Turn milliseconds since 1970 into an aware time; integers all the way, so that nothing is rounded."""
    return EPOCH + timedelta(milliseconds=value)


class Instant(TypeDecorator[datetime]):
    """An aware time as milliseconds since 1970 in UTC: exact, sortable and free of either database's zones."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_milliseconds(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_milliseconds(value)


class WordList(TypeDecorator[tuple[str, ...]]):
    """Ordered words, as one text separated by spaces: the hot path splits it without a parser."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Collection[str] | None, dialect: Dialect) -> str | None:
        return None if value is None else join_words(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> tuple[str, ...] | None:
        return None if value is None else tuple(value.split())


class WordSet(TypeDecorator[frozenset[str]]):
    """Unordered words; sorted in the text, so that equal sets are equal texts."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Collection[str] | None, dialect: Dialect) -> str | None:
        return None if value is None else join_words(sorted(value))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> frozenset[str] | None:
        return None if value is None else frozenset(value.split())


class TimesByName(TypeDecorator[Mapping[str, datetime]]):
    """Aware times by name, as a JSON object of milliseconds; none at all is NULL."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(
        self, value: Mapping[str, datetime] | None, dialect: Dialect
    ) -> dict[str, int] | None:
        return {name: to_milliseconds(at) for name, at in value.items()} if value else None

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Mapping[str, datetime]:
        return {name: from_milliseconds(at) for name, at in (value or {}).items()}


def join_words(words: Collection[str]) -> str:
    """
    Put words into one text.

    Raises:
        ValueError: One is empty or holds white space: read back, it would be other words, and scopes are words.
    """
    for word in words:
        if word.split() != [word]:
            raise ValueError("a word that is empty or has white space in it cannot be stored")
    return " ".join(words)


def json_text(value: Any) -> str:
    """
    Write *value* as JSON, always with the same text: sorted keys, no spaces, ASCII.

    Raises:
        ValueError: It holds NaN or an infinity, which are not JSON.
    """
    return _ENCODER.encode(value)
