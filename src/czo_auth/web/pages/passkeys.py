"""Passkeys: sign-in, the second factor, and management. The script only transports data; the flows decide."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from czo_auth.core.access import ACCOUNT, ENROLLING, STEPPING_UP
from czo_auth.core.errors import (
    InvalidChallenge,
    PasskeyNotFound,
    ReauthenticationRequired,
    ValidationFailed,
)
from czo_auth.core.flows.passkeys.options import Options
from czo_auth.core.limits import MAX_PASSKEY_NAME, MAX_PASSKEY_RESPONSE
from czo_auth.web.pages.idempotent_forms import Done, Secret, run_idempotent
from czo_auth.web.pages.security import overview
from czo_auth.web.pages.sign_in import (
    code_form,
    prove_form,
    sign_in_form,
    signed_in_page,
)
from czo_auth.web.routing import SIGNED_OUT, PageRequest, Pages

pages = Pages()


@pages.post("/sign-in/passkey", access=SIGNED_OUT, again=sign_in_form, opens_session=True)
async def sign_in(page: PageRequest) -> Response:
    """Sign in with a passkey."""
    call, form = page.call, page.form
    outcome = await call.runtime.passkey_sign_in.finish(
        _response(page),
        ceremony=form.raw("ceremony"),
        actor=form.text("as", max_length=64),
        known_browser=call.known_browser,
        context=call.context,
    )
    return signed_in_page(page, outcome)


@pages.post("/sign-in/code/passkey", access=SIGNED_OUT, again=code_form, opens_session=True)
async def second_step(page: PageRequest) -> Response:
    """Finish a sign-in with a passkey."""
    call, form = page.call, page.form
    challenge = call.cookie(call.authenticator.cookies.challenge)
    if challenge is None:
        raise InvalidChallenge
    outcome = await call.runtime.passkey_second_step.complete_sign_in(
        challenge,
        _response(page),
        ceremony=form.raw("ceremony"),
        wants_trust=False,
        known_browser=call.known_browser,
        context=call.context,
    )
    return signed_in_page(page, outcome)


@pages.post("/prove/passkey", access=STEPPING_UP, again=prove_form)
async def prove(page: PageRequest) -> Response:
    """Prove a passkey in a session, and continue."""
    call = page.call
    outcome = await call.runtime.passkey_second_step.step_up(
        _response(page), ceremony=page.form.raw("ceremony"), context=call.context
    )
    return signed_in_page(page, outcome)


@pages.get("/passkeys/new", access=ENROLLING)
async def new_form(page: PageRequest) -> Response:
    """Begin to add a passkey, or ask for recent proof first."""
    return await _begin(page, password=None, code=None)


@pages.post("/passkeys/new", access=ENROLLING, again=new_form)
async def prove_and_begin(page: PageRequest) -> Response:
    """Check the proof, and begin to add a passkey."""
    password = page.form.raw("password") or None
    return await _begin(page, password=password, code=page.form.code())


async def _begin(page: PageRequest, *, password: str | None, code: str | None) -> Response:
    call = page.call
    status = await call.runtime.manage_two_factor.status(context=call.context)
    options: Options | None = None
    try:
        options = await call.runtime.register_passkey.options(
            label=None, attachment=None, password=password, code=code, context=call.context
        )
    except ReauthenticationRequired:
        if password is not None:
            raise
    return page.show(
        "passkey_new.html",
        status=status,
        options=None if options is None else json.dumps(options),
        ceremony=None if options is None else options["ceremony"],
    )


@pages.post("/passkeys", access=ENROLLING, again=new_form)
async def add(page: PageRequest) -> Response:
    """Store a passkey. If it turns two-factor authentication on, redirect to the page that shows the backup codes."""
    call, form = page.call, page.form
    credential, name = _response(page), form.optional("name", max_length=MAX_PASSKEY_NAME)
    _, user = await call.runtime.manage_sessions.current(call.caller)

    async def store() -> Secret | Done:
        registered = await call.runtime.register_passkey.finish(
            credential,
            ceremony=form.raw("ceremony"),
            name=name,
            enables_two_factor="enable_two_factor" in form,
            conditional="quietly" in form,
            context=call.context,
        )
        if registered.signed_in is None:
            return Done(path="/security", notice="passkey_added")
        codes = list(registered.backup_codes or ())
        values = {"codes": codes, "account": user.email, "made_at": call.now.isoformat()}
        return Secret(kind="first_codes", values=values, signed_in=registered.signed_in)

    return await run_idempotent(page, store, area="/enrol/shown")


@pages.post("/security/passkeys/{id}/rename", access=ACCOUNT, again=overview)
async def rename(page: PageRequest) -> Response:
    """Rename a passkey."""
    call = page.call
    await call.runtime.manage_passkeys.rename(
        page.id("id"), name=page.form.text("passkey_name", max_length=MAX_PASSKEY_NAME), context=call.context
    )
    return page.redirect("/security", done="passkey_renamed")


@pages.get("/security/passkeys/{id}/remove", access=ACCOUNT)
async def remove_form(page: PageRequest) -> Response:
    """Ask whether to remove a passkey."""
    call = page.call
    passkey_id = page.id("id")
    found = await call.runtime.manage_passkeys.list(call.caller)
    passkey = next((one for one in found if one.id == passkey_id), None)
    if passkey is None:
        raise PasskeyNotFound
    status = await call.runtime.manage_two_factor.status(context=call.context)
    return page.show("passkey_remove.html", passkey=passkey, status=status)


@pages.post("/security/passkeys/{id}/remove", access=ACCOUNT, again=remove_form)
async def remove(page: PageRequest) -> Response:
    """Remove a passkey."""
    call = page.call
    await call.runtime.manage_passkeys.remove(
        page.id("id"),
        password=page.form.raw("password") or None,
        code=page.form.code(),
        context=call.context,
    )
    return page.redirect("/security", done="passkey_removed")


def _response(page: PageRequest) -> dict[str, Any]:
    text = page.form.text("response", max_length=MAX_PASSKEY_RESPONSE)
    try:
        response = json.loads(text)
    except (ValueError, RecursionError):
        response = None
    if not isinstance(response, dict):
        raise ValidationFailed(details=(("response", "This is not the response of an authenticator."),))
    return response
