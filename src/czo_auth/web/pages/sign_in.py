"""Signing up, in and out, and proving it again."""

from __future__ import annotations

from typing import assert_never

from starlette.responses import Response

from czo_auth.asgi.session_cookies import set_challenge_cookie, set_session_cookies
from czo_auth.core.access import ACCOUNT, ENROLLING_OR_SIGNING_IN
from czo_auth.core.errors import InvalidChallenge
from czo_auth.core.flows.sessions.issue import SignedIn
from czo_auth.core.flows.sign_in.password import Credentials, SecondFactorRequired
from czo_auth.core.flows.sign_in.sign_up import NewUser
from czo_auth.web.addresses import is_own_page
from czo_auth.web.routing import VISITING, Pages, Visit, signed_out

pages = Pages()
LONGEST_EMAIL = 320
LONGEST_CODE = 64


@pages.get("/", access=ACCOUNT)
async def home(visit: Visit) -> Response:
    """The first page of who is signed in."""
    return visit.go("/security")


@pages.get("/sign-up", access=VISITING)
async def sign_up_form(visit: Visit) -> Response:
    """Ask for what an account needs."""
    actors = visit.admitted.runtime.services.actors
    asked = visit.form.raw("as") or visit.query.raw("as")
    open_ones = [actor for actor in actors if actor.sign_up_open]
    chosen = next((actor for actor in open_ones if actor.name == asked), actors.default)
    return visit.show("sign_up.html", actor=chosen, actors=open_ones, next=_wanted(visit))


@pages.post("/sign-up", access=VISITING, again=sign_up_form, opens_session=True)
async def sign_up(visit: Visit) -> Response:
    """Make an account; nobody is signed in by it."""
    call, form = visit.admitted, visit.form
    new = NewUser(
        email=form.text("email", most=LONGEST_EMAIL),
        password=form.raw("new_password"),
        name=form.text("name"),
        organization_name=form.optional("organization_name"),
    )
    actor = form.text("as", most=64)
    await call.runtime.sign_up.sign_up(actor, new, provenance=call.provenance, now=call.now)
    return visit.go(
        "/sign-in", done="signed_up", **{"as": actor}, **({"next": _wanted(visit)} if _wanted(visit) else {})
    )


@pages.get("/sign-in", access=VISITING)
async def sign_in_form(visit: Visit) -> Response:
    """Ask for address and password."""
    actors = visit.admitted.runtime.services.actors
    asked = visit.form.raw("as") or visit.query.raw("as")
    chosen = next((actor for actor in actors if actor.name == asked), actors.default)
    return visit.show("sign_in.html", actor=chosen, actors=list(actors), next=_wanted(visit))


@pages.post("/sign-in", access=VISITING, again=sign_in_form, opens_session=True)
async def sign_in(visit: Visit) -> Response:
    """Prove the password: a session, or the question for the second factor."""
    call, form = visit.admitted, visit.form
    given = Credentials(
        email=form.text("email", most=LONGEST_EMAIL),
        password=form.raw("password"),
        remember="remember" in form,
        trusted_device=call.cookies.get(call.authenticator.cookies.device),
    )
    outcome = await call.runtime.sign_in.begin(
        form.text("as", most=64), given, provenance=call.provenance, now=call.now
    )
    return _entered(visit, outcome)


def _entered(visit: Visit, outcome: SignedIn | SecondFactorRequired) -> Response:
    match outcome:
        case SignedIn():
            response = visit.go_on()
            set_session_cookies(visit.admitted, response, outcome)
        case SecondFactorRequired():
            wanted = _wanted(visit)
            query = ({"trust": "1"} if outcome.may_trust else {}) | ({"next": wanted} if wanted else {})
            response = visit.go("/sign-in/code", **query)
            set_challenge_cookie(visit.admitted, response, outcome)
        case _:
            assert_never(outcome)
    return response


@pages.get("/sign-in/code", access=VISITING)
async def code_form(visit: Visit) -> Response:
    """Ask for the second factor; one field takes either kind of code."""
    may_trust = "trust" in visit.query or "trust" in visit.form
    return visit.show("sign_in_code.html", may_trust=may_trust, next=_wanted(visit))


@pages.post("/sign-in/code", access=VISITING, again=code_form, opens_session=True)
async def prove_code(visit: Visit) -> Response:
    """Finish the sign-in."""
    call, form = visit.admitted, visit.form
    challenge = call.cookie(call.authenticator.cookies.challenge)
    if challenge is None:
        raise InvalidChallenge
    outcome = await call.runtime.second_factor.complete_sign_in(
        challenge,
        form.text("code", most=LONGEST_CODE),
        "either",
        wants_trust="trust_device" in form,
        provenance=call.provenance,
        now=call.now,
    )
    return _entered(visit, outcome)


@pages.get("/prove", access=ACCOUNT)
async def prove_form(visit: Visit) -> Response:
    """Ask for the second factor again, where a page needs one that is proved."""
    return visit.show("prove.html", next=_wanted(visit))


@pages.post("/prove", access=ACCOUNT, again=prove_form)
async def prove(visit: Visit) -> Response:
    """Prove the second factor in a session, and go on."""
    call = visit.admitted
    outcome = await call.runtime.second_factor.step_up(
        call.principal,
        visit.form.text("code", most=LONGEST_CODE),
        "either",
        provenance=call.provenance,
        now=call.now,
    )
    response = visit.go_on()
    set_session_cookies(call, response, outcome)
    return response


@pages.post("/switch-actor", access=ACCOUNT, again=home)
async def switch_actor(visit: Visit) -> Response:
    """Put on another hat."""
    call = visit.admitted
    outcome = await call.runtime.sessions.switch_actor(
        call.principal, visit.form.text("as", most=64), provenance=call.provenance, now=call.now
    )
    return _entered(visit, outcome)


@pages.post("/sign-out", access=ENROLLING_OR_SIGNING_IN, again=sign_in_form)
async def sign_out(visit: Visit) -> Response:
    """End the session; never fails for want of one."""
    call = visit.admitted
    call.cookie(call.authenticator.cookies.session)
    if call.caller is not None:
        await call.runtime.sessions.sign_out(call.caller, provenance=call.provenance, now=call.now)
    return signed_out(visit)


def _wanted(visit: Visit) -> str:
    wanted = visit.form.raw("next") or visit.query.raw("next")
    return wanted if is_own_page(wanted) else ""
