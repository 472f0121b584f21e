"""
Messages of a page after a redirect, and saved form input: sealed, stored in the browser, accepted once.

A URL could carry them as well, but then anyone could send a link with a false message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from czo_auth.core.limits import MAX_NOTICE, MAX_SEALED_FORM
from czo_auth.crypto.sealing import KeyRing, OpenError, UnknownKeyId

NOTICE_LIFETIME: Final = timedelta(minutes=1)
FORM_LIFETIME: Final = timedelta(minutes=10)
_PURPOSE: Final = "page_notice"
_FORM_PURPOSE: Final = "page_form"


def seal_notice(key_ring: KeyRing, notice: str, *, page: str, now: datetime) -> str:
    """
    Seal the next message of *page*.

    Args:
        page: The path of the page; no other page shows it.
    """
    text = f"{int((now + NOTICE_LIFETIME).timestamp())} {notice}"
    return key_ring.seal(text.encode(), purpose=_PURPOSE, bound_to={"page": page})


def open_notice(key_ring: KeyRing, sealed: str, *, page: str, now: datetime) -> str | None:
    """Return the message that was just sealed for *page*; None for anything else."""
    if len(sealed) > MAX_NOTICE or not sealed.isascii():
        return None
    try:
        text = key_ring.open(sealed, purpose=_PURPOSE, bound_to={"page": page}).decode()
    except (OpenError, UnknownKeyId, ValueError):
        return None
    ends, _, notice = text.partition(" ")
    left = int(ends) - now.timestamp()
    return notice if 0 < left <= NOTICE_LIFETIME.total_seconds() else None


def seal_form(
    key_ring: KeyRing, fields: Mapping[str, Sequence[str]], *, page: str, now: datetime
) -> str | None:
    """
    Seal the input of a form whose session ended, until the same browser comes back to *page*.

    Returns:
        None when there is nothing to keep, or too much for a cookie.
    """
    text = json.dumps({"ends": int((now + FORM_LIFETIME).timestamp()), "fields": dict(fields)})
    sealed = key_ring.seal(text.encode(), purpose=_FORM_PURPOSE, bound_to={"page": page})
    return sealed if fields and len(sealed) <= MAX_SEALED_FORM else None


def open_form(key_ring: KeyRing, sealed: str, *, page: str, now: datetime) -> Mapping[str, Sequence[str]]:
    """Return the fields that were sealed for *page* within the last ten minutes; none for anything else."""
    if len(sealed) > MAX_SEALED_FORM or not sealed.isascii():
        return {}
    try:
        kept = json.loads(key_ring.open(sealed, purpose=_FORM_PURPOSE, bound_to={"page": page}))
    except (OpenError, UnknownKeyId, ValueError):
        return {}
    fields: dict[str, list[str]] = kept["fields"]
    return fields if kept["ends"] > now.timestamp() else {}
