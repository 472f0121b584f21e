"""Turning two-factor authentication on. A page shows the secret and the codes for ten minutes, until confirmed (S8)."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from czo_auth.asgi.problems import status_of
from czo_auth.asgi.session_cookies import set_session_cookies
from czo_auth.core.access import ENROLLING
from czo_auth.core.errors import InvalidCode
from czo_auth.core.ids import is_id
from czo_auth.core.limits import MAX_CODE
from czo_auth.web.pages.idempotent_forms import Done, Secret, read_secret, run_idempotent, show_secret
from czo_auth.web.routing import PageRequest, Pages

pages = Pages()


@pages.get("/enrol", access=ENROLLING)
async def enroll_form(page: PageRequest) -> Response:
    """Explain the enrollment, and ask for proof if it is needed."""
    call = page.call
    status = await call.runtime.manage_two_factor.status(context=call.context)
    proof_lifetime = call.runtime.services.policies.two_factor.proof_lifetime
    auth_time = call.caller.auth_time
    fresh = auth_time is not None and call.now - auth_time <= proof_lifetime
    # This only chooses the fields of the form; the flow decides which proof it needs.
    return page.show(
        "enrol.html",
        status=status,
        asks_password=status.enabled or not fresh or page.refusal is not None,
        asks_code=status.enabled,
    )


@pages.post("/enrol", access=ENROLLING, again=enroll_form)
async def enroll(page: PageRequest) -> Response:
    """Create a secret and backup codes, and redirect to the page that shows them."""
    call, form = page.call, page.form
    _, user = await call.runtime.manage_sessions.current(call.caller)

    async def begin() -> Secret:
        pending = await call.runtime.enable_two_factor.begin(
            password=form.raw("password") or None,
            code=form.code(),
            replace=True,
            issuer=None,
            context=call.context,
        )
        values = {
            "totp_uri": pending.totp_uri,
            "secret": " ".join(pending.secret[at : at + 4] for at in range(0, len(pending.secret), 4)),
            "codes": list(pending.backup_codes),
            "account": user.email,
            "made_at": call.now.isoformat(),
            "expires_at": pending.expires_at.isoformat(),
        }
        return Secret(kind="enrollment", values=values)

    return await run_idempotent(page, begin, area="/enrol/shown", shows_enrollment=True)


@pages.get("/enrol/confirm", access=ENROLLING)
async def confirm_form(page: PageRequest) -> Response:
    """Ask for the first code again, beside the secret if the form still refers to it."""
    return await _ask_again(page, old_authenticator=False)


async def _ask_again(page: PageRequest, *, old_authenticator: bool, http_status: int = 200) -> Response:
    answer, shown_id = await _shown_enrollment(page), page.form.raw("shown")
    if answer is None:
        return page.show(
            "enrol_confirm.html", http_status=http_status, old_authenticator=old_authenticator, outdated=False
        )
    return await show_secret(
        page, answer, answer_id=shown_id, http_status=http_status, old_authenticator=old_authenticator
    )


async def _shown_enrollment(page: PageRequest) -> dict[str, Any] | None:
    """Return the content of the page with the form; None if its ten minutes are over or the enrollment was replaced."""
    shown_id = page.form.raw("shown")
    answer = await read_secret(page, shown_id, area="/enrol/shown") if is_id(shown_id) else None
    return answer if answer is not None and answer["kind"] == "enrollment" else None


@pages.post("/enrol/confirm", access=ENROLLING, again=confirm_form)
async def confirm(page: PageRequest) -> Response:
    """Turn two-factor authentication on with the first code, and redirect to the backup codes."""
    call = page.call
    code = page.form.text("code", max_length=MAX_CODE)
    shown = await _shown_enrollment(page)
    status = await call.runtime.manage_two_factor.status(context=call.context)
    if not status.pending and status.has_totp:
        # Another window has already confirmed the enrollment.
        return page.redirect("/security", done="two_factor_was_on")
    if status.pending and shown is None and is_id(page.form.raw("shown")):
        # The code belongs to a secret that another window replaced: it does not count as an attempt.
        return page.show("enrol_confirm.html", http_status=409, old_authenticator=False, outdated=True)
    values = {} if shown is None else shown["values"]

    async def turn_on() -> Secret | Done:
        outcome = await call.runtime.enable_two_factor.confirm(code, context=call.context)
        if outcome is None:
            raise _OldAuthenticator
        if not values.get("codes"):
            unseen = shown is None and not status.enabled
            return Done(
                path="/security",
                notice="two_factor_on_unseen" if unseen else "two_factor_on",
                signed_in=outcome,
            )
        kept = {name: values[name] for name in ("codes", "account", "made_at")}
        return Secret(kind="first_codes", values=kept, signed_in=outcome)

    try:
        return await run_idempotent(page, turn_on, area="/enrol/shown")
    except _OldAuthenticator:
        return await _not_the_new_one(page, code)


class _OldAuthenticator(Exception):
    """The code is not one of the new authenticator, but perhaps one of the authenticator that it replaces."""


async def _not_the_new_one(page: PageRequest, code: str) -> Response:
    """Refuse a wrong code, which was counted; if it is one of the old authenticator, the message says so."""
    call = page.call
    outcome = await call.runtime.second_factor.step_up(code, "totp", context=call.context)
    response = await _ask_again(page, old_authenticator=True, http_status=status_of(InvalidCode()))
    set_session_cookies(call, response, outcome)
    return response
