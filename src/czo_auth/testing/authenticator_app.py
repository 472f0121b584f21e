"""A TOTP authenticator app."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from czo_auth.crypto import totp


class AuthenticatorApp:
    """
    An authenticator app with one account: 6 digits, SHA-1, 30 seconds, as czo-auth enrolls it. Source: RFC 6238.

    czo-auth accepts the code of each 30-second step once, so the app gives each once.

    Args:
        secret: The secret in Base32, as the enrollment shows it.
        clock: The clock of the phone. Pass the clock of the deployment, or another one for a phone whose time is wrong.

    Raises:
        ValueError: *secret* is not Base32.
    """

    def __init__(self, secret: str, clock: Callable[[], datetime]) -> None:
        self.secret = secret
        self._raw = totp.decode_secret(secret)
        self._clock = clock
        self._last = -1

    @property
    def step(self) -> int:
        """The number of the current 30-second step, counted from 1970."""
        return totp.step_at(self._clock())

    @property
    def next_step(self) -> int:
        """The step whose code `code` returns next: the current one, or the first later one that it has not returned."""
        return max(self.step, self._last + 1)

    def code(self) -> str:
        """
        Return the code of `next_step`.

        If that step lies ahead, czo-auth accepts the code up to its drift early (``CZO_AUTH_TOTP_DRIFT``, in steps).
        """
        self._last = self.next_step
        return self.code_of(self._last)

    def code_of(self, step: int) -> str:
        """Return the code of *step*, whether or not `code` has returned it."""
        return totp.hotp(self._raw, step)
