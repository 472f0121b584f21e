"""Sign-up, sign-in, sign-out, and proving the second factor again."""

from __future__ import annotations

import json
from typing import assert_never

from starlette.responses import Response

from czo_auth.asgi.session_cookies import set_challenge_cookie, set_session_cookies
from czo_auth.core.access import ACCOUNT, ENROLLING_OR_SIGNING_IN, STEPPING_UP
from czo_auth.core.errors import InvalidChallenge, PasskeysNotAvailable
from czo_auth.core.flows.passkeys.options import Options
from czo_auth.core.flows.sessions.issue import SignedIn
from czo_auth.core.flows.sign_in.password import Credentials, SecondFactorRequired
from czo_auth.core.flows.sign_in.sign_up import NewUser
from czo_auth.core.limits import MAX_EMAIL, MAX_ID
from czo_auth.core.users.user import User
from czo_auth.web.addresses import is_own_page
from czo_auth.web.routing import SIGNED_OUT, PageRequest, Pages, signed_out

pages = Pages()


@pages.get("/", access=ACCOUNT)
async def home(page: PageRequest) -> Response:
    """Redirect to the first page of the signed-in user."""
    return page.redirect("/security")


@pages.get("/sign-up", access=SIGNED_OUT)
async def sign_up_form(page: PageRequest) -> Response:
    """Show the sign-up form."""
    if page.caller is not None and page.refusal is None:
        return page.redirect_to_requested()
    actors = page.call.runtime.services.actors
    asked = page.form.raw("as") or page.query.raw("as")
    open_ones = [actor for actor in actors if actor.sign_up_open]
    chosen = next((actor for actor in open_ones if actor.name == asked), actors.default)
    return page.show(
        "sign_up.html", actor=chosen, actors=open_ones, next=_wanted(page), email=_typed_email(page)
    )


@pages.post("/sign-up", access=SIGNED_OUT, again=sign_up_form, opens_session=True)
async def sign_up(page: PageRequest) -> Response:
    """Create an account. This does not sign the user in."""
    call, form = page.call, page.form
    new = NewUser(
        email=form.text("email", max_length=MAX_EMAIL),
        password=form.raw("new_password"),
        name=form.text("name"),
        organization_name=form.optional("organization_name"),
    )
    actor = form.text("as", max_length=MAX_ID)
    await call.runtime.sign_up.sign_up(actor, new, context=call.context)
    wanted = _wanted(page)
    query = {"as": actor, "email": new.email} | ({"next": wanted} if wanted else {})
    return page.redirect("/sign-in", done="signed_up", **query)


@pages.get("/sign-in", access=SIGNED_OUT)
async def sign_in_form(page: PageRequest) -> Response:
    """Show the sign-in form."""
    if page.caller is not None and page.refusal is None:
        return page.redirect_to_requested()
    actors = page.call.runtime.services.actors
    asked = page.form.raw("as") or page.query.raw("as")
    chosen = next((actor for actor in actors if actor.name == asked), actors.default)
    return page.show(
        "sign_in.html",
        actor=chosen,
        actors=list(actors),
        next=_wanted(page),
        email=_typed_email(page),
        passkey=_as_shown(_sign_in_options(page)),
    )


@pages.post("/sign-in", access=SIGNED_OUT, again=sign_in_form, opens_session=True)
async def sign_in(page: PageRequest) -> Response:
    """Check the password: start a session, or ask for the second factor."""
    call, form = page.call, page.form
    given = Credentials(
        email=form.text("email", max_length=MAX_EMAIL),
        password=form.raw("password"),
        remember="remember" in form,
        trusted_device=call.cookies.get(call.authenticator.cookies.device),
        known_browser=call.known_browser,
    )
    outcome = await call.runtime.sign_in.begin(
        form.text("as", max_length=MAX_ID), given, context=call.context
    )
    return signed_in_page(page, outcome)


def signed_in_page(page: PageRequest, outcome: SignedIn | SecondFactorRequired) -> Response:
    """Redirect after a sign-in, or to the second step."""
    match outcome:
        case SignedIn():
            response = page.redirect_to_requested()
            set_session_cookies(page.call, response, outcome)
        case SecondFactorRequired():
            wanted = _wanted(page)
            query = ({"trust": "1"} if outcome.may_trust else {}) | ({"next": wanted} if wanted else {})
            response = page.redirect("/sign-in/code", **query)
            set_challenge_cookie(page.call, response, outcome)
        case _:
            assert_never(outcome)
    return response


@pages.get("/sign-in/code", access=SIGNED_OUT)
async def code_form(page: PageRequest) -> Response:
    """Ask for the second factor."""
    may_trust = "trust" in page.query or "trust" in page.form
    passkey = _as_shown(await _second_step_options(page))
    user = await _account_of_challenge(page)
    return page.show(
        "sign_in_code.html",
        may_trust=may_trust,
        next=_wanted(page),
        passkey=passkey,
        account_email=None if user is None else user.email,
        has_app=user is None or user.has_totp,
    )


@pages.post("/sign-in/code", access=SIGNED_OUT, again=code_form, opens_session=True)
async def verify_code(page: PageRequest) -> Response:
    """Finish the sign-in."""
    call, form = page.call, page.form
    challenge = call.cookie(call.authenticator.cookies.challenge)
    if challenge is None:
        raise InvalidChallenge
    outcome = await call.runtime.second_factor.complete_sign_in(
        challenge,
        form.required_code(),
        "either",
        wants_trust="trust_device" in form,
        known_browser=call.known_browser,
        context=call.context,
    )
    return signed_in_page(page, outcome)


@pages.get("/prove", access=STEPPING_UP)
async def prove_form(page: PageRequest) -> Response:
    """Ask for the second factor again, for pages that need recent proof of it."""
    passkey = _as_shown(await _step_up_options(page))
    takes_code = not page.call.caller.requires_passkey
    return page.show("prove.html", next=_wanted(page), passkey=passkey, takes_code=takes_code)


@pages.post("/prove", access=ACCOUNT, again=prove_form)
async def prove(page: PageRequest) -> Response:
    """Prove the second factor in a session, and continue."""
    call = page.call
    outcome = await call.runtime.second_factor.step_up(
        page.form.required_code(), "either", context=call.context
    )
    response = page.redirect_to_requested()
    set_session_cookies(call, response, outcome)
    return response


@pages.post("/switch-actor", access=ACCOUNT, again=home)
async def switch_actor(page: PageRequest) -> Response:
    """Switch the actor type."""
    call = page.call
    outcome = await call.runtime.manage_sessions.switch_actor(
        page.form.text("as", max_length=MAX_ID), context=call.context
    )
    return signed_in_page(page, outcome)


@pages.post("/sign-out", access=ENROLLING_OR_SIGNING_IN, again=sign_in_form)
async def sign_out(page: PageRequest) -> Response:
    """End the session. Succeeds without a session too."""
    call = page.call
    call.cookie(call.authenticator.cookies.session)
    if call.context.principal is not None:
        await call.runtime.manage_sessions.sign_out(context=call.context)
    return signed_out(page)


def _sign_in_options(page: PageRequest) -> Options | None:
    try:
        return page.call.runtime.passkey_sign_in.options(now=page.call.now)
    except PasskeysNotAvailable:
        return None


async def _account_of_challenge(page: PageRequest) -> User | None:
    """Return the user whose sign-in waits for the second factor; None if it has expired."""
    call = page.call
    challenge = call.cookies.get(call.authenticator.cookies.challenge)
    if challenge is None:
        return None
    try:
        return await call.runtime.second_factor.account_of(challenge, now=call.now)
    except InvalidChallenge:
        return None


async def _second_step_options(page: PageRequest) -> Options | None:
    call = page.call
    challenge = call.cookies.get(call.authenticator.cookies.challenge)
    if challenge is None:
        return None
    try:
        options = await call.runtime.passkey_second_step.challenge_options(challenge, now=call.now)
    except (PasskeysNotAvailable, InvalidChallenge):
        return None
    return options if options["allowCredentials"] else None


async def _step_up_options(page: PageRequest) -> Options | None:
    call = page.call
    try:
        options = await call.runtime.passkey_second_step.step_up_options(context=call.context)
    except PasskeysNotAvailable:
        return None
    return options if options["allowCredentials"] else None


def _as_shown(options: Options | None) -> dict[str, str] | None:
    """Return the options as JSON for the script of the page, and the handle of the ceremony for its form."""
    if options is None:
        return None
    return {"options": json.dumps(options), "ceremony": str(options["ceremony"])}


def _typed_email(page: PageRequest) -> str:
    """Return the address that was entered before, in this form or in the previous one."""
    return (page.form.raw("email") or page.query.raw("email"))[:MAX_EMAIL]


def _wanted(page: PageRequest) -> str:
    wanted = page.form.raw("next") or page.query.raw("next")
    return wanted if is_own_page(wanted) else ""
