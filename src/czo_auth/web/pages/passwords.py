"""What mailed links lead to, and passwords: changed, forgotten, confirmed, cancelled."""

from __future__ import annotations

from starlette.responses import Response

from czo_auth.asgi.session_cookies import set_session_cookies
from czo_auth.core.access import ACCOUNT
from czo_auth.web.pages.sign_in import LONGEST_EMAIL
from czo_auth.web.routing import VISITING, Pages, Visit

pages = Pages()
LONGEST_TOKEN = 100


@pages.get("/password", access=ACCOUNT)
async def change_form(visit: Visit) -> Response:
    """Ask for the old password and a new one."""
    _, user = await visit.admitted.runtime.sessions.current(visit.admitted.principal)
    return visit.show("password.html", user=user)


@pages.post("/password", access=ACCOUNT, again=change_form)
async def change(visit: Visit) -> Response:
    """Change the password; all other sessions end."""
    call = visit.admitted
    outcome = await call.runtime.passwords.change(
        call.principal,
        current=visit.form.raw("password"),
        new=visit.form.raw("new_password"),
        provenance=call.provenance,
        now=call.now,
    )
    response = visit.go("/security", done="password_changed")
    set_session_cookies(call, response, outcome)
    return response


@pages.get("/forgot-password", access=VISITING)
async def forgot_form(visit: Visit) -> Response:
    """Ask whose password is forgotten."""
    return visit.show("forgot_password.html")


@pages.post("/forgot-password", access=VISITING, again=forgot_form)
async def forgot(visit: Visit) -> Response:
    """Mail a link, if there is such a user; what is said is the same if there is not."""
    call = visit.admitted
    email = visit.form.text("email", most=LONGEST_EMAIL)
    await call.runtime.passwords.request_reset(email, provenance=call.provenance, now=call.now)
    return visit.go("/sign-in", done="reset_mailed")


@pages.get("/reset-password", access=VISITING)
async def reset_form(visit: Visit) -> Response:
    """Ask for the new password; the mailed token is not spent by looking."""
    return visit.show("reset_password.html", token=_token(visit))


@pages.post("/reset-password", access=VISITING, again=reset_form)
async def reset(visit: Visit) -> Response:
    """Set a new password; signs nobody in."""
    call = visit.admitted
    await call.runtime.passwords.reset(
        _token(visit), new=visit.form.raw("new_password"), provenance=call.provenance, now=call.now
    )
    return visit.go("/sign-in", done="password_reset")


@pages.get("/verify-email", access=VISITING)
async def verify_form(visit: Visit) -> Response:
    """Ask for one click: mail scanners follow links, and must not confirm anything."""
    return visit.show("verify_email.html", token=_token(visit))


@pages.post("/verify-email", access=VISITING, again=verify_form)
async def verify(visit: Visit) -> Response:
    """Confirm the address that the token was mailed to."""
    call = visit.admitted
    await call.runtime.verify_email.verify(_token(visit), provenance=call.provenance, now=call.now)
    return visit.go("/sign-in", done="email_verified")


@pages.get("/verify-email/send", access=VISITING)
async def send_form(visit: Visit) -> Response:
    """Ask where to send a link to."""
    return visit.show("verify_email_send.html")


@pages.post("/verify-email/send", access=VISITING, again=send_form)
async def send(visit: Visit) -> Response:
    """Mail a confirmation link, if there is an address to confirm; what is said is the same if there is not."""
    call = visit.admitted
    email = visit.form.text("email", most=LONGEST_EMAIL)
    await call.runtime.verify_email.send(email, provenance=call.provenance, now=call.now)
    return visit.go("/sign-in" if visit.caller is None else "/security", done="verification_mailed")


@pages.get("/cancel-reset", access=VISITING)
async def cancel_reset_form(visit: Visit) -> Response:
    """Ask for one click: mail scanners follow links, and must not cancel anything."""
    return visit.show("cancel_reset.html", token=_token(visit))


@pages.post("/cancel-reset", access=VISITING, again=cancel_reset_form)
async def cancel_reset(visit: Visit) -> Response:
    """Cancel the reset of a second factor of which its user was warned by mail; nobody need be signed in."""
    call = visit.admitted
    await call.runtime.recovery.cancel_by_token(_token(visit), provenance=call.provenance, now=call.now)
    return visit.go("/sign-in", done="reset_cancelled")


def _token(visit: Visit) -> str:
    return (visit.form.raw("token") or visit.query.raw("token"))[:LONGEST_TOKEN]
