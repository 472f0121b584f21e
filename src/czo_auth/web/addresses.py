"""Addresses of pages that a visitor is sent to; never outside the mount."""

from __future__ import annotations

import re

from czo_auth.core.limits import MAX_NAVIGATION

_PATH = re.compile(r"(?:/[A-Za-z0-9_-]+(?:\.[a-z]+)?)*/?(?:\?[A-Za-z0-9=&._%+-]*)?")


def is_own_page(address: str) -> bool:
    """
    Return whether *address* is the path of a page below the mount, without a host.

    Browsers read two slashes at the beginning, or a backslash, as another host.
    """
    return len(address) <= MAX_NAVIGATION and address.startswith("/") and _PATH.fullmatch(address) is not None
