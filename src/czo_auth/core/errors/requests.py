"""Refusals of the request itself: its body, origin, idempotency key or rate."""

from __future__ import annotations

from czo_auth.core.errors.kinds import Conflict, Forbidden, Invalid, Missing, Refusal, TooMany, Unprocessable


class ValidationFailed(Invalid):
    code = "VALIDATION_ERROR"
    message = "The request is not valid."


class InvalidRequest(Invalid):
    code = "INVALID_REQUEST"
    message = "The request is malformed."


class MalformedBody(Invalid):
    code = "BAD_REQUEST"
    message = "The body is not valid JSON."


class BodyTooSlow(Refusal):
    code = "REQUEST_TIMEOUT"
    message = "The body took too long to arrive."


class TooLarge(Refusal):
    code = "PAYLOAD_TOO_LARGE"
    message = "The body is too large."


class UnsupportedMediaType(Refusal):
    code = "UNSUPPORTED_MEDIA_TYPE"
    message = "Send plain, uncompressed application/json."


class MethodNotAllowed(Refusal):
    code = "METHOD_NOT_ALLOWED"
    message = "This address does not support that method."


class NotFound(Missing):
    code = "NOT_FOUND"
    message = "Not found."


class MissingOrNullOrigin(Forbidden):
    code = "MISSING_OR_NULL_ORIGIN"
    message = "The request does not say which site it comes from."


class InvalidOrigin(Forbidden):
    code = "INVALID_ORIGIN"
    message = "The request comes from a site that is not trusted."


class InvalidCallbackUrl(Forbidden):
    code = "INVALID_CALLBACK_URL"
    message = "The address to continue to does not belong to a trusted origin."


class CrossSiteNavigationBlocked(Forbidden):
    code = "CROSS_SITE_NAVIGATION_LOGIN_BLOCKED"
    message = "Another site cannot sign you in."


class IdempotencyKeyReused(Unprocessable):
    """The idempotency key belongs to a request with another body."""

    code = "IDEMPOTENCY_KEY_REUSED"
    message = "This Idempotency-Key was used for another request."


class RequestInProgress(Conflict):
    """A request with the same idempotency key is still running."""

    code = "REQUEST_IN_PROGRESS"
    message = "The first request with this Idempotency-Key is still running."


class RateLimited(TooMany):
    code = "TOO_MANY_REQUESTS"
    message = "Too many requests. Try again later."
