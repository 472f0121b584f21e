"""Refusals about API keys: their number, lifetime, limits and owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from czo_auth.core.errors.kinds import Conflict, Forbidden, TooMany
from czo_auth.core.errors.requests import ValidationFailed

if TYPE_CHECKING:
    from czo_auth.core.limit_report import LimitReport


class LifetimeTooLong(ValidationFailed):
    """A separate class, because better-auth's client has a code for it."""


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
    A limit that the owner set on one key; other keys are not affected.

    Attributes:
        limits: The limits of the key, for the rate limit headers.
    """

    limits: LimitReport | None = None


class ApiKeyRateLimited(ApiKeyLimited):
    """The key was used too often in a short time."""

    code = "RATE_LIMIT_EXCEEDED"
    message = "This API key has reached its rate limit."


class QuotaExceeded(ApiKeyLimited):
    """The key has used up its quota for this day or month."""

    code = "QUOTA_EXCEEDED"
    message = "This API key has used up its quota."
