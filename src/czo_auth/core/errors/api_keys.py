"""Refusals about API keys: their number, lifetime, limits and owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from czo_auth.core.errors.kinds import Conflict, Forbidden, TooMany
from czo_auth.core.errors.requests import ValidationFailed

if TYPE_CHECKING:
    from czo_auth.core.limit_report import LimitReport


class LifetimeTooLong(ValidationFailed):
    """A kind of its own, as better-auth's client has a code for it."""


class ApiKeyLimitReached(Conflict):
    code = "API_KEY_LIMIT_REACHED"
    message = "You have reached the maximum number of API keys. Revoke one first."


class ApiKeyAlreadyRotated(Conflict):
    code = "API_KEY_ALREADY_ROTATED"
    message = "This API key has already been rotated."


class InsufficientApiKeyPermissions(Forbidden):
    code = "INSUFFICIENT_API_KEY_PERMISSIONS"
    message = "Your role in this organization cannot manage API keys."


class ApiKeyLimited(TooMany):
    """
    A limit of one key, which its owner set; the others go on.

    Attributes:
        limits: The limits of the key, for the headers that tell them.
    """

    limits: LimitReport | None = None


class ApiKeyRateLimited(ApiKeyLimited):
    """The key was used too often in a short time."""

    code = "RATE_LIMIT_EXCEEDED"
    message = "This API key has reached its rate limit."


class QuotaExceeded(ApiKeyLimited):
    """The key was used as often in this day or month as its quota allows."""

    code = "QUOTA_EXCEEDED"
    message = "This API key has used up its quota."
