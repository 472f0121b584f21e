"""
What a page says after a redirect: carried by the browser, sealed, and believed once and for a minute.

An address could say it as well, but then anybody can send an address that says what did not happen.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from czo_auth.crypto.sealing import KeyRing, OpenError, UnknownKeyId

NOTICE_LIFETIME: Final = timedelta(minutes=1)
MAX_NOTICE: Final = 512
_PURPOSE: Final = "page_notice"


def seal_notice(key_ring: KeyRing, notice: str, *, page: str, now: datetime) -> str:
    """
    Seal what *page* says next.

    Args:
        page: The path of the page; no other one says it.
    """
    text = f"{int((now + NOTICE_LIFETIME).timestamp())} {notice}"
    return key_ring.seal(text.encode(), purpose=_PURPOSE, bound_to={"page": page})


def open_notice(key_ring: KeyRing, sealed: str, *, page: str, now: datetime) -> str | None:
    """Return what was sealed for *page* a moment ago; None for anything else."""
    if len(sealed) > MAX_NOTICE or not sealed.isascii():
        return None
    try:
        text = key_ring.open(sealed, purpose=_PURPOSE, bound_to={"page": page}).decode()
    except (OpenError, UnknownKeyId, ValueError):
        return None
    ends, _, notice = text.partition(" ")
    left = int(ends) - now.timestamp()
    return notice if 0 < left <= NOTICE_LIFETIME.total_seconds() else None
