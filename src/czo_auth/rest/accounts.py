"""Sign-up, sign-in, sign-out, and the current credential."""

from __future__ import annotations

from czo_auth.core.access import ACCOUNT, ANYONE_KNOWN, ENROLLING, ENROLLING_OR_SIGNING_IN, PUBLIC
from czo_auth.core.flows.sign_in.password import Credentials
from czo_auth.core.flows.sign_in.sign_up import NewUser
from czo_auth.rest import records
from czo_auth.rest.answers import Answer, SignInAnswer, sign_in_answer, signed_out
from czo_auth.rest.models import Body, Email, Identifier, Name, OpenBody, Password
from czo_auth.rest.routing import CurrentRequest, Routes

routes = Routes("Accounts")


class SignUpRequest(OpenBody):
    email: Email
    password: Password
    name: Name
    organization_name: Name | None = None


class SignInRequest(Body):
    email: Email
    password: Password
    remember_me: bool = True


class SwitchActorRequest(Body):
    actor_type: Identifier


@routes.add("POST", "/{actor}/sign-up", access=PUBLIC, status=201, opens_session=True)
async def sign_up(actor: str, body: SignUpRequest, call: CurrentRequest) -> records.SignedUp:
    """Sign up for an actor type. This does not sign the user in."""
    new = NewUser(
        email=body.email,
        password=body.password,
        name=body.name,
        organization_name=body.organization_name,
        fields=body.user_fields,
    )
    user, organization = await call.runtime.sign_up.sign_up(actor, new, context=call.context)
    return records.SignedUp.of(user, organization, call.user_fields)


@routes.add("POST", "/{actor}/sign-in/email", access=PUBLIC, opens_session=True)
async def sign_in(actor: str, body: SignInRequest, call: CurrentRequest) -> SignInAnswer:
    """Sign in with a password. The answer is a session, or a challenge for the second factor."""
    given = Credentials(
        email=body.email,
        password=body.password,
        remember=body.remember_me,
        trusted_device=call.cookies.get(call.authenticator.cookies.device),
        known_browser=call.known_browser,
    )
    return sign_in_answer(call, await call.runtime.sign_in.begin(actor, given, context=call.context))


@routes.add("POST", "/sign-out", access=ENROLLING_OR_SIGNING_IN, ignores_unknown_fields=True)
async def sign_out(call: CurrentRequest) -> Answer[records.Succeeded]:
    """End the current session. Succeeds without a session too; a page of another site cannot end it."""
    call.cookie(call.authenticator.cookies.session)
    if call.context.principal is not None:
        await call.runtime.manage_sessions.sign_out(context=call.context)
    return signed_out(call, records.SUCCEEDED)


@routes.add("POST", "/switch-actor", access=ACCOUNT)
async def switch_actor(body: SwitchActorRequest, call: CurrentRequest) -> SignInAnswer:
    """Switch the actor type. Issues a new session with the same expiry and revokes the current one."""
    outcome = await call.runtime.manage_sessions.switch_actor(body.actor_type, context=call.context)
    return sign_in_answer(call, outcome)


@routes.add("GET", "/session", access=ENROLLING)
async def current_session(call: CurrentRequest) -> records.CurrentSession:
    """Return the current session and its user."""
    session, user = await call.runtime.manage_sessions.current(call.caller)
    due_at = await call.runtime.manage_two_factor.find_due_at(user)
    return records.CurrentSession.of_user(
        session, user, call.user_fields, restricted_to=call.caller.restricted_to, due_at=due_at
    )


@routes.add("GET", "/whoami", access=ANYONE_KNOWN)
async def whoami(call: CurrentRequest) -> records.Principal:
    """Describe the credential of this request."""
    call.caller.check_organization()
    return records.Principal.of(call.caller)
