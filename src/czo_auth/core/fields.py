"""
Validation of names, descriptions and metadata; done in the flows, for every caller.

Request models, forms and the command line call the same functions, to name a wrong field early.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

from czo_auth.core.errors import ValidationFailed
from czo_auth.core.limits import MAX_DESCRIPTION, MAX_METADATA_BYTES, MAX_NAME, MAX_REASON, MAX_URL
from czo_auth.core.text import is_unsafe

# Invisible characters whose Unicode category does not say so: Hangul fillers, the empty Braille pattern, the grapheme
# joiner, and two inherent Khmer vowels.
_EMPTY: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Mn", "Me", "Zl", "Zp", "Zs"})
_NO_URL: Final = re.compile(r"[\s\x00-\x20\x7f\"'<>\\^`{|}]")


def is_blank(text: str) -> bool:
    """Whether *text* has no visible character."""
    return all(character in _EMPTY or unicodedata.category(character) in _INVISIBLE for character in text)


def checked_name(text: str, *, field: str = "name", longest: int = MAX_NAME) -> str:
    """
    Return a name without surrounding space.

    Raises:
        ValidationFailed: It is blank or too long, or contains characters that hide or reorder adjacent text.
    """
    if len(text) > 2 * longest:
        raise _refused(field, f"At most {longest} characters.")
    name = text.strip()
    if is_blank(name):
        raise _refused(field, "This must not be blank.")
    if len(name) > longest:
        raise _refused(field, f"At most {longest} characters.")
    if is_unsafe(name) or not _EMPTY.isdisjoint(name):
        raise _refused(field, "It holds characters that cannot be seen.")
    return name


def checked_reason(text: str, *, field: str = "reason") -> str:
    """
    Return a reason without surrounding space.

    Raises:
        ValidationFailed: It is blank or too long.
    """
    reason = text.strip() if len(text) <= 2 * MAX_REASON else text
    if len(reason) > MAX_REASON:
        raise _refused(field, f"At most {MAX_REASON} characters.")
    if is_blank(reason):
        raise _refused(field, "This must not be blank.")
    return reason


def checked_description(text: str | None, *, field: str = "description") -> str | None:
    """
    Return a description without surrounding space; None if it is missing or blank.

    Raises:
        ValidationFailed: It is too long, or contains characters that hide or reorder adjacent text.
    """
    if text is None:
        return None
    description = text.strip()
    if len(text) > 2 * MAX_DESCRIPTION or len(description) > MAX_DESCRIPTION:
        raise _refused(field, f"At most {MAX_DESCRIPTION} characters.")
    if is_unsafe(description):
        raise _refused(field, "It holds characters that cannot be seen.")
    return None if is_blank(description) else description


def checked_image(url: str | None, *, field: str = "image") -> str | None:
    """
    Return the address of a picture.

    Only https, because other pages put it into `src` and `href`, where `javascript:` or `data:` would run code.

    Raises:
        ValidationFailed: It is something else.
    """
    if url is None:
        return None
    if len(url) > MAX_URL:
        raise _refused(field, f"At most {MAX_URL} characters.")
    try:
        parts = urlsplit(url)
        is_address = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or not url.lower().startswith("https://") or _NO_URL.search(url) or is_unsafe(url):
        raise _refused(field, "This must be an address that begins with https://.")
    return url


def checked_metadata(
    metadata: Mapping[str, object] | None, *, field: str = "metadata"
) -> Mapping[str, object] | None:
    """
    Return the metadata that someone attaches to a resource.

    Raises:
        ValidationFailed: As JSON it is too large, or it is no JSON.
    """
    if metadata is None:
        return None
    try:
        text = json.dumps(dict(metadata), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError):
        raise _refused(field, "This must be an object of JSON values.") from None
    if size > MAX_METADATA_BYTES:
        raise _refused(field, f"At most {MAX_METADATA_BYTES} bytes of JSON.")
    return metadata


def check_not_null(given: Collection[str], **values: object) -> None:
    """
    Refuse None for those of *values* that were sent, where None is not a value that the field can have.

    Args:
        given: The names of the fields that were sent.

    Raises:
        ValidationFailed: It names each such field.
    """
    nulls = [name for name, value in values.items() if name in given and value is None]
    if nulls:
        raise ValidationFailed(details=tuple((name, "This must not be null.") for name in nulls))


def _refused(field: str, message: str) -> ValidationFailed:
    return ValidationFailed(details=((field, message),))
