"""Addresses of pages: where a visitor wanted to go, and nowhere outside."""

from __future__ import annotations

import re

_PATH = re.compile(r"(?:/[A-Za-z0-9_-]+(?:\.[a-z]+)?)*/?(?:\?[A-Za-z0-9=&._%+-]*)?")
_MAX_LENGTH = 500


def is_own_page(address: str) -> bool:
    """
    Say whether *address* is the path of a page below the mount, without a host.

    Two slashes at the beginning would be another host; so would a backslash.
    """
    return len(address) <= _MAX_LENGTH and address.startswith("/") and _PATH.fullmatch(address) is not None
