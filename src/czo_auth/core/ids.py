"""Identifiers: UUID version 7, so that they sort by creation time."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta

from czo_auth.crypto import tokens

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id(now: datetime) -> str:
    """
    Create an identifier that sorts by *now*.

    Args:
        now: Aware time; milliseconds since the epoch go into the first 48 bits.

    Source: RFC 9562 section 5.7.
    """
    value = int.from_bytes(tokens.random_bytes(10), "big")
    value |= int(now.timestamp() * 1000) << 80
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def time_of(identifier: str) -> datetime | None:
    """Return when *identifier* was created, to the millisecond; None if it is not version 7."""
    if not is_id(identifier) or identifier[14] != "7":
        return None
    return _EPOCH + timedelta(milliseconds=int(identifier[:8] + identifier[9:13], 16))


def is_id(text: str) -> bool:
    """Return whether *text* has the form of an identifier; anything else need not reach the database."""
    return _UUID.fullmatch(text) is not None
