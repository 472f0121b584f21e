"""Refusals of the device flow (RFC 8628)."""

from __future__ import annotations

from czo_auth.core.errors.kinds import Forbidden, Invalid


class InvalidUserCode(Invalid):
    code = "INVALID_USER_CODE"
    message = "There is no request with this code, or it has already been answered."


class ExpiredDeviceCode(Invalid):
    code = "EXPIRED_DEVICE_CODE"
    message = "The code has expired. Start again on the device."


class AuthorizationPending(Invalid):
    """The response of RFC 8628 section 3.5 while nobody has decided yet."""

    code = "AUTHORIZATION_PENDING"
    message = "Nobody has approved the request yet."


class SlowDown(Invalid):
    """The device polls too often; it has to wait five seconds longer from now on."""

    code = "SLOW_DOWN"
    message = "Poll less often."


class DeviceDenied(Invalid):
    code = "ACCESS_DENIED"
    message = "The request was denied."


class InvalidDeviceCode(Invalid):
    code = "INVALID_DEVICE_CODE"
    message = "The device code is not valid."


class OpenedInAnotherSession(Forbidden):
    code = "ACCESS_DENIED"
    message = "This code was opened in another session."
