"""Passwords and email addresses after sign-up."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from czo_auth.core.access import ACCOUNT, PUBLIC
from czo_auth.rest import shapes
from czo_auth.rest.answers import session_body, set_session
from czo_auth.rest.models import Body, Email, Password, Token, TolerantBody
from czo_auth.rest.routing import CurrentRequest, Routes

routes = Routes("Passwords and email")


class ChangePasswordRequest(TolerantBody):
    current_password: Password
    new_password: Password
    revoke_other_sessions: bool = True


class EmailRequest(Body):
    email: Email


class ResetPasswordRequest(Body):
    token: Token
    new_password: Password


@routes.add("POST", "/change-password", access=ACCOUNT)
async def change_password(body: ChangePasswordRequest, call: CurrentRequest) -> Response:
    """Change the password. The own session is renewed, all others end."""
    outcome = await call.runtime.passwords.change(
        current=body.current_password, new=body.new_password, context=call.context
    )
    return set_session(call, JSONResponse(session_body(call, outcome)), outcome)


@routes.add("POST", "/request-password-reset", access=PUBLIC)
async def request_password_reset(body: EmailRequest, call: CurrentRequest) -> Response:
    """Mail a reset link, if there is such a user. The answer is always the same."""
    await call.runtime.passwords.request_reset(body.email, context=call.context)
    return JSONResponse({"status": True})


@routes.add("POST", "/reset-password", access=PUBLIC)
async def reset_password(body: ResetPasswordRequest, call: CurrentRequest) -> Response:
    """Set a new password with a mailed token. Ends all sessions, signs nobody in, leaves 2FA on."""
    await call.runtime.passwords.reset(body.token, new=body.new_password, context=call.context)
    return JSONResponse({"status": True})


@routes.add("POST", "/send-verification-email", access=PUBLIC)
async def send_verification_email(body: EmailRequest, call: CurrentRequest) -> Response:
    """Mail a confirmation link, if there is an unconfirmed user. The answer is always the same."""
    await call.runtime.verify_email.send(body.email, context=call.context)
    return JSONResponse({"status": True})


@routes.add("GET", "/verify-email", access=PUBLIC, ignores_unknown_fields=True)
async def verify_email(token: str, call: CurrentRequest) -> Response:
    """Confirm the address that the token was mailed to."""
    user = await call.runtime.verify_email.verify(token, context=call.context)
    return JSONResponse({"status": True, "user": shapes.user(user)})
