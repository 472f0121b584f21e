"""The cookies: names that better-auth's client knows, contents of our own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from czo_auth.crypto import tokens
from czo_auth.settings import DEFAULT_COOKIE_PREFIX, Settings

_OWN_PREFIX: Final = "czo-auth"

_SESSION = "session_token"
_CHALLENGE = "two_factor"
_DEVICE = "trust_device"
_CEREMONY = "better-auth-passkey"
_BROWSER = "known_browser"
_NOTICE = "notice"
_FORM = "form"
_LANGUAGE = "language"
_MAX_LANGUAGE: Final = 8
_HOST, _SECURE = "__Host-", "__Secure-"


@dataclass(frozen=True, slots=True)
class Cookies:
    """
    Reads and writes the cookies.

    Args:
        secure: Whether the deployment is reached by https; names then begin with ``__Secure-``.
        prefix: What names begin with after that, by default better-auth's. A prefix that begins with ``__Host-``
            replaces ``__Secure-``, and excludes a domain.
        domain: The domain whose hosts all get the cookies; by default only the host that set them.

    Source: RFC 6265bis sections 4.1.2.3 and 4.1.3.
    """

    secure: bool
    prefix: str = DEFAULT_COOKIE_PREFIX
    domain: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the cookies of a deployment."""
        return cls(
            secure=settings.public_url.startswith("https://"),
            prefix=settings.cookie_prefix,
            domain=settings.cookie_domain,
        )

    @property
    def _start(self) -> str:
        if self.prefix.startswith(_HOST) or not self.secure:
            return f"{self.prefix}."
        return f"{_SECURE}{self.prefix}."

    @property
    def _own_start(self) -> str:
        """What the names of cookies begin with that better-auth does not have."""
        if self.prefix == DEFAULT_COOKIE_PREFIX:
            return f"{_SECURE if self.secure else ''}{_OWN_PREFIX}."
        return self._start

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
        return self._own_start + _BROWSER

    def read_browser(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """
        Read the known-browser cookie: tokens of those who signed in here before, with dots between them.

        Separate from `read`, because it is not a credential: another site that makes a browser send it gains nothing.
        """
        for name, text in _pairs(headers):
            if name == self.browser:
                return ".".join(tokens.split_tokens(text, tokens.KNOWN_BROWSER)) or None
        return None

    @property
    def notice(self) -> str:
        """Name of the cookie with the notice for the next account page; not a credential."""
        return self._own_start + _NOTICE

    @property
    def form(self) -> str:
        """Name of the cookie with the input of a form whose session ended; not a credential."""
        return self._own_start + _FORM

    @property
    def language(self) -> str:
        """Name of the cookie with the language that the user chose; not a credential."""
        return self._own_start + _LANGUAGE

    def read_language(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Read the language that the user chose; None if the value is not the name of a language."""
        for name, text in _pairs(headers):
            if name == self.language:
                return text if text.isascii() and text.isalpha() and len(text) <= _MAX_LANGUAGE else None
        return None

    def read(self, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
        """
        Read the cookies of ours that a request carries.

        The first cookie of a name counts, and one without the format of its token is ignored. The cookie of
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
        return f"{name}={value}{age}{self._attributes}"

    def clear(self, name: str) -> str:
        """Write a ``Set-Cookie`` value that removes a cookie."""
        return f"{name}=; Max-Age=0{self._attributes}"

    def clear_for_host(self, name: str) -> str | None:
        """
        Write a ``Set-Cookie`` value that removes the host's own cookie from before a domain was set; None without a
        domain.

        A browser would send both, and the older one first.
        """
        return None if self.domain is None else replace(self, domain=None).clear(name)

    @property
    def _attributes(self) -> str:
        domain = "" if self.domain is None else f"; Domain={self.domain}"
        return f"{domain}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if self.secure else ''}"


def _pairs(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, str]]:
    """Return the names and values of all cookies that a request carries."""
    for name, value in headers:
        if name == b"cookie":
            for pair in value.decode("latin-1").split(";"):
                key, _, text = pair.strip().partition("=")
                yield key, text.strip('"')
