"""The cookies: names that better-auth's client knows, contents of our own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from czo_auth.crypto import tokens

_SESSION = "better-auth.session_token"
_CHALLENGE = "better-auth.two_factor"
_DEVICE = "better-auth.trust_device"
_CEREMONY = "better-auth.better-auth-passkey"
_BROWSER = "czo-auth.known_browser"
_NOTICE = "czo-auth.notice"


@dataclass(frozen=True, slots=True)
class Cookies:
    """
    Reads and writes the cookies.

    Args:
        secure: Whether the deployment is reached by https; names then begin with ``__Secure-``.
    """

    secure: bool

    @property
    def _start(self) -> str:
        return "__Secure-" if self.secure else ""

    @property
    def session(self) -> str:
        """Name of the session cookie."""
        return self._start + _SESSION

    @property
    def challenge(self) -> str:
        """Name of the challenge cookie."""
        return self._start + _CHALLENGE

    @property
    def device(self) -> str:
        """Name of the trusted-device cookie."""
        return self._start + _DEVICE

    @property
    def ceremony(self) -> str:
        """Name of the cookie of a passkey ceremony."""
        return self._start + _CEREMONY

    @property
    def browser(self) -> str:
        """Name of the known-browser cookie."""
        return self._start + _BROWSER

    def read_browser(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """
        Read the known-browser cookie: tokens of those who signed in here before, with dots between them.

        Apart from the others, because it is no credential: another site that makes a browser send it gains nothing.
        """
        for name, text in _pairs(headers):
            if name == self.browser:
                return ".".join(tokens.split_tokens(text, tokens.KNOWN_BROWSER)) or None
        return None

    @property
    def notice(self) -> str:
        """Name of the cookie that carries what the next account page says; no credential."""
        return self._start + _NOTICE

    def read(self, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
        """
        Read the cookies of ours that a request carries.

        The first of a name counts, and what has not the form of its token is as if it were not there. The cookie of
        trusted devices holds a token for each user who trusts the browser, with dots between them.
        Source: RFC 6265 section 5.4.
        """
        forms = {
            self.session: tokens.SESSION,
            self.challenge: tokens.CHALLENGE,
            self.device: tokens.TRUSTED_DEVICE,
            self.ceremony: tokens.CEREMONY,
        }
        found: dict[str, str] = {}
        for key, text in _pairs(headers):
            prefix = forms.get(key)
            if prefix is None or key in found:
                continue
            if key == self.device:
                text = ".".join(tokens.split_tokens(text, prefix))
            elif not tokens.is_well_formed(text, prefix):
                continue
            if text:
                found[key] = text
        return found

    def set(self, name: str, value: str, *, until: datetime | None, now: datetime) -> str:
        """Write a ``Set-Cookie`` value; without *until* the cookie ends with the browser."""
        age = "" if until is None else f"; Max-Age={max(0, int((until - now).total_seconds()))}"
        return f"{name}={value}{age}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if self.secure else ''}"

    def clear(self, name: str) -> str:
        """Write a ``Set-Cookie`` value that removes a cookie."""
        return f"{name}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax{'; Secure' if self.secure else ''}"


def _pairs(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, str]]:
    """Return the names and values of all cookies that a request carries."""
    for name, value in headers:
        if name == b"cookie":
            for pair in value.decode("latin-1").split(";"):
                key, _, text = pair.strip().partition("=")
                yield key, text.strip('"')
