"""Passwords, and the pages of mailed links: reset, confirmation of an address, canceling a reset."""

from __future__ import annotations

from contextlib import suppress

from starlette.responses import Response

from czo_auth.asgi.callback_urls import check_callback_url
from czo_auth.asgi.session_cookies import set_session_cookies
from czo_auth.core.access import ACCOUNT
from czo_auth.core.errors import InvalidMailToken
from czo_auth.core.limits import MAX_EMAIL, MAX_TOKEN
from czo_auth.web.routing import SIGNED_OUT, PageRequest, Pages

pages = Pages()


@pages.get("/password", access=ACCOUNT)
async def change_form(page: PageRequest) -> Response:
    """Ask for the old password and a new one."""
    _, user = await page.call.runtime.manage_sessions.current(page.call.caller)
    return page.show("password.html", user=user)


@pages.post("/password", access=ACCOUNT, again=change_form)
async def change(page: PageRequest) -> Response:
    """Change the password; all other sessions end."""
    call = page.call
    outcome = await call.runtime.passwords.change(
        current=page.form.raw("password"), new=page.form.raw("new_password"), context=call.context
    )
    response = page.redirect("/security", done="password_changed")
    set_session_cookies(call, response, outcome)
    return response


@pages.get("/forgot-password", access=SIGNED_OUT)
async def forgot_form(page: PageRequest) -> Response:
    """Ask for the address of the forgotten password."""
    return page.show("forgot_password.html")


@pages.post("/forgot-password", access=SIGNED_OUT, again=forgot_form)
async def forgot(page: PageRequest) -> Response:
    """Mail a link if there is such a user; the response is always the same."""
    call = page.call
    email = page.form.text("email", max_length=MAX_EMAIL)
    await call.runtime.passwords.request_reset(email, context=call.context)
    return page.redirect("/sign-in", done="reset_mailed")


@pages.get("/reset-password", access=SIGNED_OUT)
async def reset_form(page: PageRequest) -> Response:
    """Ask for the new password. Opening the page does not use the mailed token up, but invalidates earlier ones."""
    await _note_opened(page)
    token = _token(page)
    is_live = await page.call.runtime.passwords.is_live(token, now=page.call.now)
    return page.show("reset_password.html", token=token, is_live=is_live)


@pages.post("/reset-password", access=SIGNED_OUT, again=reset_form)
async def reset(page: PageRequest) -> Response:
    """Set a new password. This does not sign the user in."""
    call = page.call
    await call.runtime.passwords.reset(_token(page), new=page.form.raw("new_password"), context=call.context)
    return page.redirect("/sign-in", done="password_reset")


@pages.get("/verify-email", access=SIGNED_OUT)
async def verify_form(page: PageRequest) -> Response:
    """Ask for a click: mail scanners follow links, and must not confirm anything."""
    await _note_opened(page)
    call, confirmation = page.call, None
    leads_to = check_callback_url(call, page.query.optional("callbackURL", max_length=2048))
    with suppress(InvalidMailToken):
        confirmation = await call.runtime.verify_email.describe(_token(page), now=call.now)
    return page.show(
        "verify_email.html",
        token=_token(page),
        leads_to=leads_to,
        is_done=False,
        confirmation=confirmation,
    )


@pages.post("/verify-email", access=SIGNED_OUT, again=verify_form)
async def verify(page: PageRequest) -> Response:
    """Confirm the address to which the token was mailed."""
    call = page.call
    leads_to = check_callback_url(call, page.form.optional("callbackURL", max_length=2048))
    await call.runtime.verify_email.verify(_token(page), context=call.context)
    if leads_to is None:
        return page.redirect("/sign-in" if page.caller is None else "/security", done="email_verified")
    # Not a redirect: the Content-Security-Policy of the pages does not let a form lead to other origins.
    shown = page.show("verify_email.html", token="", leads_to=leads_to, is_done=True)
    shown.headers["refresh"] = f"0; url={leads_to}"
    return shown


@pages.get("/verify-email/send", access=SIGNED_OUT)
async def send_form(page: PageRequest) -> Response:
    """Ask for the address to which to send a link."""
    return page.show("verify_email_send.html")


@pages.post("/verify-email/send", access=SIGNED_OUT, again=send_form)
async def send(page: PageRequest) -> Response:
    """Mail a confirmation link if there is an address to confirm; the response is always the same."""
    call = page.call
    email = page.form.text("email", max_length=MAX_EMAIL)
    await call.runtime.verify_email.send(email, context=call.context)
    return page.redirect("/sign-in" if page.caller is None else "/security", done="verification_mailed")


@pages.get("/cancel-reset", access=SIGNED_OUT)
async def cancel_reset_form(page: PageRequest) -> Response:
    """Ask for a click: mail scanners follow links, and must not cancel anything."""
    call, token = page.call, _token(page)
    is_live = await call.runtime.recovery.is_cancellable(token, now=call.now)
    return page.show("cancel_reset.html", token=token, is_live=is_live)


@pages.post("/cancel-reset", access=SIGNED_OUT, again=cancel_reset_form)
async def cancel_reset(page: PageRequest) -> Response:
    """Cancel a second-factor reset with the token from the warning mail. Works without a session."""
    call = page.call
    await call.runtime.recovery.cancel_by_token(_token(page), context=call.context)
    return page.redirect("/sign-in" if page.caller is None else "/security", done="reset_cancelled")


async def _note_opened(page: PageRequest) -> None:
    call = page.call
    await call.runtime.passwords.open_link(_token(page), now=call.now)


def _token(page: PageRequest) -> str:
    return (page.form.raw("token") or page.query.raw("token"))[:MAX_TOKEN]
