"""Turning two factors on: the secret and the codes are on the answer of a form, and on no page (S8)."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from czo_auth.asgi.problems import status_of
from czo_auth.asgi.session_cookies import set_session_cookies
from czo_auth.core.access import ENROLLING
from czo_auth.core.errors import InvalidCode
from czo_auth.core.limits import MAX_CODE
from czo_auth.crypto import qr
from czo_auth.web.routing import PageRequest, Pages

pages = Pages()


@pages.get("/enrol", access=ENROLLING)
async def enroll_form(page: PageRequest) -> Response:
    """Say what is about to happen, and ask for proof where it is needed."""
    call = page.call
    status = await call.runtime.manage_two_factor.status(context=call.context)
    proof_lifetime = call.runtime.services.policies.two_factor.proof_lifetime
    auth_time = call.principal.auth_time
    fresh = auth_time is not None and call.now - auth_time <= proof_lifetime
    # What is asked here is only a convenience; the flow decides what it needs.
    return page.show(
        "enrol.html",
        status=status,
        asks_password=status.enabled or not fresh or page.refusal is not None,
        asks_code=status.enabled,
    )


@pages.post("/enrol", access=ENROLLING, again=enroll_form)
async def enroll(page: PageRequest) -> Response:
    """Make a secret and backup codes, and show them this once."""
    call, form = page.call, page.form
    pending = await call.runtime.enable_two_factor.begin(
        password=form.raw("password") or None,
        code=form.optional("code", most=MAX_CODE),
        replace=True,
        issuer=None,
        context=call.context,
    )
    return page.show(
        "enrol_secret.html",
        qr_code=await asyncio.to_thread(qr.svg_data_uri, pending.totp_uri),
        totp_uri=pending.totp_uri,
        secret=" ".join(pending.secret[at : at + 4] for at in range(0, len(pending.secret), 4)),
        codes=pending.backup_codes,
        expires_at=pending.expires_at,
    )


@pages.get("/enrol/confirm", access=ENROLLING)
async def confirm_form(page: PageRequest) -> Response:
    """Ask for the first code again, without what was shown."""
    return page.show("enrol_confirm.html", old_authenticator=False)


@pages.post("/enrol/confirm", access=ENROLLING, again=confirm_form)
async def confirm(page: PageRequest) -> Response:
    """Turn two factors on with the first code."""
    call = page.call
    code = page.form.text("code", most=MAX_CODE)
    outcome = await call.runtime.enable_two_factor.confirm(code, context=call.context)
    if outcome is not None:
        response = page.go("/security", done="two_factor_on")
        set_session_cookies(call, response, outcome)
        return response
    return await _not_the_new_one(page, code)


async def _not_the_new_one(page: PageRequest, code: str) -> Response:
    """The code is wrong, or of the authenticator that was to be replaced: counted, and in the latter case said so."""
    call = page.call
    outcome = await call.runtime.second_factor.step_up(code, "totp", context=call.context)
    response = page.show("enrol_confirm.html", http_status=status_of(InvalidCode()), old_authenticator=True)
    set_session_cookies(call, response, outcome)
    return response
