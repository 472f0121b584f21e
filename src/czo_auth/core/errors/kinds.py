"""The kinds of refusals, which determine the HTTP status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

Location = str | tuple[str, ...]
"""Where something is wrong: a field, or a kind of thing and its id."""


class Refusal(Exception):
    """
    A refused request.

    Args:
        message: Replaces the class's sentence; must be as safe to show.
        details: ``(location, sentence)`` pairs, for ``VALIDATION_ERROR`` and wherever a refusal names several things.
        retry_after: Whole seconds after which trying again makes sense.
    """

    code: ClassVar[str] = "ERROR"
    message: str = "The request was refused."

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Sequence[tuple[Location, str]] = (),
        retry_after: int | None = None,
    ) -> None:
        self.message = message or type(self).message
        self.details = tuple(details)
        self.retry_after = retry_after
        super().__init__(self.code)


class Invalid(Refusal):
    """The request itself is wrong; sending it again will not help."""


class NotAuthenticated(Refusal):
    """No credential was sent, or one that proves nothing."""


class Forbidden(Refusal):
    """The caller is known, and may not do this."""

    code = "FORBIDDEN"
    message = "You are not allowed to do this."


class Missing(Refusal):
    """The resource does not exist, or the caller may not see it."""


class Conflict(Refusal):
    """The request conflicts with the current state."""

    code = "CONFLICT"
    message = "This conflicts with the current state."


class Unprocessable(Refusal):
    """The request is well-formed and cannot be carried out."""


class TooMany(Refusal):
    """A limit was reached."""


class Unavailable(Refusal):
    """A required service is not responding."""

    code = "SERVICE_UNAVAILABLE"
    message = "The service is temporarily unavailable. Try again shortly."

    def __init__(self, message: str | None = None, *, retry_after: int | None = 2) -> None:
        super().__init__(message, retry_after=retry_after)
