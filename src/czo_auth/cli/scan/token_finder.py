"""The form of tokens among other bytes, in text and in binary files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from czo_auth.crypto import tokens

SKIPPED_SECRETS = (b"EXAMPLE", b"auth_")
"""
Secrets that begin like this are skipped: examples in documentation, and names of our tables (``czo_auth_users``),
    which are next to each other in the database. One real key in 10⁹ begins like this.
"""

API_KEY = "API key"
WEBHOOK_SECRET = "webhook secret"  # noqa: S105 - what it is called
_OTHERS: Mapping[str, str] = {
    tokens.SESSION: "session token",
    tokens.REFRESH: "refresh token",
    tokens.CHALLENGE: "challenge",
    tokens.INVITATION: "invitation",
    tokens.MAIL: "mailed token",
    tokens.TRUSTED_DEVICE: "trusted device",
    tokens.DEVICE_CODE: "device code",
    tokens.CEREMONY: "passkey ceremony",
    tokens.KNOWN_BROWSER: "known browser",
}
_TOKEN_CHARACTER = b"[A-Za-z0-9_-]"
_LAST_CHARACTER = b"[AEIMQUYcgkosw048]"
# Of a webhook secret: plain base64 of 32 bytes, as Standard Webhooks writes it.
_SECRET_CHARACTER = b"[A-Za-z0-9+/]"
_SECRET_END = b"="

# What may precede a token although it ends in a letter or digit: an escape in JSON, a URL or a program, and the end of
# a terminal's color code.
_ESCAPE = re.compile(
    rb"(?:\\[a-z0]|\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|%[0-9A-Fa-f]{2}|\x1b\[[0-9;]{0,9}m)\Z"
)
BEFORE = 12
"""Bytes before a token that are examined."""
AFTER = 2 * (16 + 44) + 2
"""Bytes from the beginning of a token that are examined, if each character takes two."""


class TokenFinder:
    """
    Finds tokens by requirement S15: the prefix, 42 characters, and a last one whose unused bits are zero; and webhook
    secrets, which are the same in base64 with its padding.

    In text a token is separate: no letter or digit precedes it, no character of a token follows it. In a binary file
    the neighbors mean nothing, because fields are adjacent; and characters may take two bytes.

    Args:
        api_key_prefix: The prefix of the deployment's keys.
        all_kinds: Whether to find session tokens, refresh tokens, invitations and the like too.
    """

    def __init__(self, api_key_prefix: str = tokens.DEFAULT_API_KEY, *, all_kinds: bool = False) -> None:
        self.kinds = {api_key_prefix: API_KEY} | (
            {**_OTHERS, tokens.WEBHOOK_SECRET: WEBHOOK_SECRET} if all_kinds else {}
        )
        ours = (_TOKEN_CHARACTER, _LAST_CHARACTER)
        forms = [(re.escape(api_key_prefix.encode()), *ours)]
        if all_kinds:
            # One pattern with a literal beginning: six of them would read everything six times.
            forms.append((b"cz[" + b"".join(prefix[2:3].encode() for prefix in _OTHERS) + b"]_", *ours))
            forms.append((tokens.WEBHOOK_SECRET.encode(), _SECRET_CHARACTER, _LAST_CHARACTER + _SECRET_END))
        self._alone, self._anywhere, self._wide = [], [], []
        for head, character, last in forms:
            tail = character + b"{42}" + last
            self._alone.append(re.compile(head + tail + b"(?!" + character + b")"))
            self._anywhere.append(re.compile(head + tail))
            # Without the last zero it fits both byte orders.
            self._wide.append(
                re.compile(wide(head) + b"(?:" + character + rb"\0){42}" + wide(last).removesuffix(rb"\0"))
            )

    def find(
        self, data: bytes | bytearray, start: int, stop: int, end: int, *, is_text: bool
    ) -> list[tuple[int, str]]:
        """
        Find the tokens that begin at *start* or later and before *stop*; return their places and texts, in order.

        Args:
            end: Where *data* ends; bytes beyond it are not examined.
        """
        patterns = self._alone if is_text else [*self._anywhere, *self._wide]
        found = [
            (at, token)
            for pattern in patterns
            for at, token in _matches(pattern, data, start, stop, end)
            if not is_text or _begins(data, at)
        ]
        return sorted(found) if len(found) > 1 else found

    def kind(self, token: str) -> str:
        """Return the kind of a token."""
        return next(kind for prefix, kind in self.kinds.items() if token.startswith(prefix))


def _matches(
    pattern: re.Pattern[bytes], data: bytes | bytearray, start: int, stop: int, end: int
) -> Iterator[tuple[int, str]]:
    """Continue the search right after each beginning, because a token may begin within what looked like another."""
    while (match := pattern.search(data, start, end)) is not None and match.start() < stop:
        start = match.start() + 1
        token = bytes(match[0]).replace(b"\0", b"")
        if not token.partition(b"_")[2].startswith(SKIPPED_SECRETS):
            yield match.start(), token.decode("ascii")


def _begins(data: bytes | bytearray, at: int) -> bool:
    if at == 0 or not data[at - 1 : at].isalnum():
        return True
    return _ESCAPE.search(bytes(data[max(0, at - BEFORE) : at])) is not None


def wide(head: bytes) -> bytes:
    """Write a pattern of single characters and classes for text in which each takes two bytes (UTF-16)."""
    return b"".join(part + rb"\0" for part in re.findall(rb"\[[^]]+\]|\\?.", head))
