"""Rate limits that owners request, and how to compare them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from czo_auth.core.errors import ValidationFailed
from czo_auth.core.limits import MAX_RATE_LIMIT_REQUESTS, MAX_RATE_LIMIT_SECONDS
from czo_auth.core.throttle import RateLimit

DEFAULT_REQUESTS: Final = 600
DEFAULT_WINDOW_SECONDS: Final = 60
"""Ten a second on average: a working program does not reach it, a looping one does right away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitUpdate:
    """
    The rate limit fields of a request; None for fields that were not sent.

    Attributes:
        window_ms: The window, in milliseconds, as better-auth's clients count it; whole seconds.
    """

    enabled: bool | None = None
    requests: int | None = None
    window_ms: int | None = None

    def on(self, present: RateLimit | None) -> RateLimit | None:
        """
        Return the limit requested for a key whose current limit is *present*. Numbers alone turn it on; omitted fields
        keep their value.

        Raises:
            ValidationFailed: A number is out of bounds, or comes with a limit that is switched off.
        """
        if self.enabled is False:
            if self.requests is not None or self.window_ms is not None:
                raise _refused("rateLimitEnabled", "A limit that is off has no numbers.")
            return None
        if self.enabled is None and self.requests is None and self.window_ms is None:
            return present
        before = present or RateLimit(requests=DEFAULT_REQUESTS, window_seconds=DEFAULT_WINDOW_SECONDS)
        return RateLimit(
            requests=before.requests if self.requests is None else _requests(self.requests),
            window_seconds=before.window_seconds if self.window_ms is None else _seconds(self.window_ms),
        )


def is_as_tight(new: RateLimit | None, old: RateLimit | None) -> bool:
    """Return whether *old* would have allowed everything that *new* allows."""
    if old is None:
        return True
    return new is not None and new.requests <= old.requests and new.window_seconds >= old.window_seconds


def _requests(number: int) -> int:
    if not 1 <= number <= MAX_RATE_LIMIT_REQUESTS:
        raise _refused("rateLimitMax", f"From 1 to {MAX_RATE_LIMIT_REQUESTS}.")
    return number


def _seconds(milliseconds: int) -> int:
    seconds, rest = divmod(milliseconds, 1000)
    if rest or not 1 <= seconds <= MAX_RATE_LIMIT_SECONDS:
        raise _refused(
            "rateLimitTimeWindow", f"Whole seconds in milliseconds, from 1000 to {MAX_RATE_LIMIT_SECONDS}000."
        )
    return seconds


def _refused(field: str, sentence: str) -> ValidationFailed:
    return ValidationFailed(details=((field, sentence),))
