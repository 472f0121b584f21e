"""Have I Been Pwned's range API: looks up leaked passwords by the first five characters of their hash."""

from __future__ import annotations

import hashlib
import logging
from typing import Final

from czo_auth.crypto.passwords import normalize

_LOG = logging.getLogger("czo_auth.passwords")
TIME_LIMIT_SECONDS: Final = 2.0
_SHOWN: Final = 5


class NoBreaches:
    """Looks nothing up."""

    async def knows(self, password: str) -> bool:
        return False


class PwnedPasswords:
    """
    Asks a range API; only the first five of forty characters leave the process, and the answer is padded.

    Args:
        url: Its base URL, e.g. of a mirror inside your own network.

    Source: the API's documentation, "Searching by range" and "Padding"; SHA-1 is its choice, not ours.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def knows(self, password: str) -> bool:
        import httpx

        digest = hashlib.sha1(normalize(password).encode(), usedforsecurity=False).hexdigest().upper()
        try:
            async with httpx.AsyncClient(timeout=TIME_LIMIT_SECONDS) as client:
                answer = await client.get(
                    f"{self._url}/range/{digest[:_SHOWN]}", headers={"Add-Padding": "true"}
                )
                answer.raise_for_status()
        except httpx.HTTPError as error:
            _LOG.warning(
                "leaked passwords could not be asked for (%s); the password passes", type(error).__name__
            )
            return False
        for line in answer.text.splitlines():
            suffix, _, count = line.strip().partition(":")
            if suffix.upper() == digest[_SHOWN:] and count.strip() != "0":
                return True
        return False
