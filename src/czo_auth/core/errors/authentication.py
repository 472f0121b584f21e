"""Refusals of a credential, or of what it may do."""

from __future__ import annotations

from collections.abc import Iterable

from czo_auth.core.errors.kinds import Conflict, Forbidden, Invalid, NotAuthenticated


class Unauthorized(NotAuthenticated):
    """No credential was sent."""

    code = "UNAUTHORIZED"
    message = "Sign in first."


class InvalidToken(NotAuthenticated):
    code = "INVALID_TOKEN"
    message = "The token is not valid."


class InvalidApiKey(NotAuthenticated):
    """The same answer for unknown, revoked, expired, disabled and orphaned keys, so that strangers learn nothing."""

    code = "INVALID_API_KEY"
    message = "The API key is not valid."


class InvalidRefreshToken(NotAuthenticated):
    code = "INVALID_REFRESH_TOKEN"
    message = "The refresh token is not valid."


class RefreshInProgress(Conflict):
    code = "REFRESH_IN_PROGRESS"
    message = "This refresh token was just replaced. Use its successor."


class SessionRequired(Forbidden):
    code = "SESSION_REQUIRED"
    message = "An API key cannot do this. Sign in instead."


class UserRequired(Forbidden):
    code = "USER_REQUIRED"
    message = "A service account cannot do this. Use the API key of a user, or sign in."


class ReauthenticationRequired(Forbidden):
    code = "REAUTHENTICATION_REQUIRED"
    message = "Confirm it is you first: send your password, and a code if two-factor authentication is on."


class InsufficientScope(Forbidden):
    """
    ``details`` names the scopes.

    Source: RFC 6750 section 3.1.
    """

    code = "INSUFFICIENT_SCOPE"
    message = "A required scope is missing."

    @classmethod
    def of(cls, scopes: Iterable[str], message: str | None = None) -> InsufficientScope:
        """Create the refusal that names the missing *scopes*."""
        return cls(message, details=[(("scopes", scope), "This scope is missing.") for scope in scopes])

    @property
    def scopes(self) -> tuple[str, ...]:
        """The missing scopes."""
        return tuple(where[1] for where, _ in self.details if isinstance(where, tuple) and len(where) == 2)


class IpAddressNotAllowed(Forbidden):
    """The key has an allow-list and the request's address is not on it. The list is not revealed."""

    code = "IP_ADDRESS_NOT_ALLOWED"
    message = "This API key cannot be used from this address."


class InvalidSubjectToken(Invalid):
    """The API key cannot be exchanged; the same answer for every reason (RFC 8693 section 2.2.2)."""

    code = "INVALID_REQUEST"
    message = "The subject token is not valid."


class InvalidTarget(Invalid):
    code = "INVALID_TARGET"
    message = "The audience is not one that tokens are issued for."


class InvalidScope(Invalid):
    code = "INVALID_SCOPE"
    message = "The scope is wider than that of the key."


class UnsupportedGrantType(Invalid):
    code = "UNSUPPORTED_GRANT_TYPE"
    message = "This grant type is not supported here."
