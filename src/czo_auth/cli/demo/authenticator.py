"""The demo's phone: codes from the secret in the QR code; each time step is used once."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Final

from czo_auth.cli.demo.printer import Mismatch, StepPrinter
from czo_auth.crypto import totp
from czo_auth.runtime import utc_now

_MARGIN: Final = timedelta(seconds=8)
"""A code must still be valid when a busy server checks it."""


class Authenticator:
    """
    Computes codes.

    The server accepts each step once, and only a later one after it. Within its drift the codes of the step before,
    of this one and of the next are all good, so that the demo hardly ever has to wait.
    """

    def __init__(self, secret: str, *, drift: int, printer: StepPrinter) -> None:
        self._secret = base64.b32decode(secret)
        self._drift = drift
        self._narrator = printer
        self._spent: totp.Step = 0

    def code(self) -> str:
        """Return a code that the server has not seen; waits for the next step if there is none yet."""
        step = max(self._spent + 1, totp.step_at(utc_now() + _MARGIN) - self._drift)
        if not self._narrator.wait_until(
            "waiting for the authenticator's next code",
            lambda: totp.step_at(utc_now()) + self._drift >= step,
            seconds=2.0 * totp.PERIOD,
        ):
            raise Mismatch("a new step within a minute", "a clock that stands still")
        self._spent = step
        return totp.hotp(self._secret, step)

    def wrong_code(self) -> str:
        """Return a code that no time step has for hours on either side, so that it is refused and spends nothing."""
        now = totp.step_at(utc_now())
        right = {totp.hotp(self._secret, step) for step in range(now - 240, now + 240)}
        return next(code for number in range(len(right) + 1) if (code := f"{number:06}") not in right)
