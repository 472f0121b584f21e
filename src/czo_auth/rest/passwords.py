"""Passwords and email addresses after sign-up."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field
from starlette.responses import RedirectResponse

from czo_auth.asgi.admission import RequestContext
from czo_auth.asgi.callback_urls import check_callback_url
from czo_auth.core.access import ACCOUNT, PUBLIC
from czo_auth.core.limits import MAX_URL
from czo_auth.rest import records
from czo_auth.rest.answers import Answer, renewed
from czo_auth.rest.models import Body, Email, Password, Token, TolerantBody, Url
from czo_auth.rest.routing import CurrentRequest, Routes

routes = Routes("Passwords and email")


class ChangePasswordRequest(TolerantBody):
    current_password: Password
    new_password: Password
    revoke_other_sessions: bool = True


class PasswordResetRequest(TolerantBody):
    email: Email
    redirect_to: Url | None = None


class VerificationRequest(TolerantBody):
    email: Email
    callback_url: Url | None = Field(default=None, alias="callbackURL")


class ResetPasswordRequest(Body):
    token: Token
    new_password: Password


@routes.add("POST", "/change-password", access=ACCOUNT)
async def change_password(body: ChangePasswordRequest, call: CurrentRequest) -> Answer[records.SignedIn]:
    """Change the password. The current session is renewed, all others end."""
    outcome = await call.runtime.passwords.change(
        current=body.current_password, new=body.new_password, context=call.context
    )
    return renewed(call, outcome)


@routes.add("POST", "/request-password-reset", access=PUBLIC)
async def request_password_reset(body: PasswordResetRequest, call: CurrentRequest) -> records.Done:
    """Mail a reset link if there is such a user. The answer is always the same."""
    await call.runtime.passwords.request_reset(
        body.email, context=call.context, page=_checked_page(call, body.redirect_to)
    )
    return records.DONE


@routes.add("POST", "/reset-password", access=PUBLIC)
async def reset_password(body: ResetPasswordRequest, call: CurrentRequest) -> records.Done:
    """Set a new password with a mailed token. All sessions end and none begins; two-factor authentication stays on."""
    await call.runtime.passwords.reset(body.token, new=body.new_password, context=call.context)
    return records.DONE


@routes.add("POST", "/send-verification-email", access=PUBLIC)
async def send_verification_email(body: VerificationRequest, call: CurrentRequest) -> records.Done:
    """Mail a confirmation link if there is an unconfirmed user. The answer is always the same."""
    await call.runtime.verify_email.send(
        body.email, context=call.context, callback_url=check_callback_url(call, body.callback_url)
    )
    return records.DONE


@routes.add("GET", "/verify-email", access=PUBLIC, ignores_unknown_fields=True, get_has_effects=True)
async def verify_email(
    token: str,
    call: CurrentRequest,
    callback_url: Annotated[str | None, Query(alias="callbackURL", max_length=MAX_URL)] = None,
) -> records.ConfirmedUser | RedirectResponse:
    """Confirm the address to which the token was mailed, and redirect to ``callbackURL`` if it is trusted."""
    leads_to = check_callback_url(call, callback_url)
    user = await call.runtime.verify_email.verify(token, context=call.context)
    if leads_to is not None:
        return RedirectResponse(leads_to, status_code=302)
    return records.ConfirmedUser(status=True, user=records.User.of(user, call.user_fields))


def _checked_page(call: RequestContext, url: str | None) -> str | None:
    """
    Return where a reset link may lead, without the fragment: the token goes into the query before it.

    Raises:
        InvalidCallbackUrl: It lies outside the trusted origins.
    """
    checked = check_callback_url(call, url)
    return None if checked is None else checked.partition("#")[0]
