"""better-auth's account calls: sign-up, sign-in, sessions, profile."""

from __future__ import annotations

from contextlib import suppress

from pydantic import Field

from czo_auth.asgi.callback_urls import check_callback_url
from czo_auth.core.access import ACCOUNT, ENROLLING_OR_SIGNING_IN, PUBLIC
from czo_auth.core.errors import NotFound
from czo_auth.core.fields import check_not_null
from czo_auth.core.flows.sign_in.password import Credentials
from czo_auth.core.flows.sign_in.sign_up import NewUser
from czo_auth.core.flows.users.profile import update_profile
from czo_auth.rest import records
from czo_auth.rest.answers import Answer, SignInAnswer, sign_in_answer
from czo_auth.rest.better_auth.errors import EmailCannotBeUpdated
from czo_auth.rest.models import Email, Image, Name, Password, Token, TolerantBody, TolerantOpenBody, Url
from czo_auth.rest.routing import CurrentRequest, Routes

routes = Routes("better-auth: accounts", ignores_unknown_fields=True)


class ClientSignUpRequest(TolerantOpenBody):
    email: Email
    password: Password
    name: Name
    image: Image | None = None
    callback_url: Url | None = Field(default=None, alias="callbackURL")
    remember_me: bool = True


class ClientSignInRequest(TolerantBody):
    email: Email
    password: Password
    callback_url: Url | None = Field(default=None, alias="callbackURL")
    remember_me: bool = True


class ClientRevokeSessionRequest(TolerantBody):
    token: Token


class ClientUpdateUserRequest(TolerantOpenBody):
    name: Name | None = None
    image: Image | None = None


@routes.add("POST", "/sign-up/email", access=PUBLIC, opens_session=True)
async def sign_up_email(
    body: ClientSignUpRequest, call: CurrentRequest
) -> SignInAnswer | Answer[records.UnconfirmedUser]:
    """
    Sign up for the default actor type and sign in, unless the address must be confirmed first.

    If a confirmation is mailed, its link redirects to ``callbackURL``, which must be trusted.
    """
    runtime = call.runtime
    callback_url = check_callback_url(call, body.callback_url)
    actor = runtime.services.actors.default.name
    new = NewUser(
        email=body.email,
        password=body.password,
        name=body.name,
        image=body.image,
        fields=body.user_fields(call.user_fields.names),
    )
    user, _ = await runtime.sign_up.sign_up(actor, new, context=call.context, callback_url=callback_url)
    if runtime.services.policies.require_email_verification:
        return Answer(records.UnconfirmedUser(token=None, user=records.User.of(user, call.user_fields)))
    given = Credentials(email=body.email, password=body.password, remember=body.remember_me)
    return sign_in_answer(call, await runtime.sign_in.begin(actor, given, context=call.context))


@routes.add("POST", "/sign-in/email", access=PUBLIC, opens_session=True)
async def sign_in_email(body: ClientSignInRequest, call: CurrentRequest) -> SignInAnswer:
    """
    Sign in as the default actor type.

    ``callbackURL`` must be trusted. The client's own page handles the response, so nothing redirects to it.
    """
    check_callback_url(call, body.callback_url)
    given = Credentials(
        email=body.email,
        password=body.password,
        remember=body.remember_me,
        trusted_device=call.cookies.get(call.authenticator.cookies.device),
        known_browser=call.known_browser,
    )
    actor = call.runtime.services.actors.default.name
    return sign_in_answer(call, await call.runtime.sign_in.begin(actor, given, context=call.context))


@routes.add("GET", "/get-session", access=ENROLLING_OR_SIGNING_IN)
async def get_session(call: CurrentRequest) -> records.ClientCurrentSession | None:
    """Return the current session and its user, or `null`."""
    if call.context.principal is None:
        return None
    session, user = await call.runtime.manage_sessions.current(call.context.principal)
    return records.ClientCurrentSession(
        session=records.ClientSession.of(session), user=records.User.of(user, call.user_fields)
    )


@routes.add("GET", "/list-sessions", access=ACCOUNT)
async def list_sessions(call: CurrentRequest) -> list[records.ClientSession]:
    """List the user's live sessions."""
    sessions = await call.runtime.manage_sessions.list(context=call.context)
    return [records.ClientSession.of(one) for one in sessions]


@routes.add("POST", "/revoke-session", access=ACCOUNT)
async def revoke_session(body: ClientRevokeSessionRequest, call: CurrentRequest) -> records.Done:
    """End one session by its public handle. The answer is the same if there is no such session."""
    with suppress(NotFound):
        await call.runtime.manage_sessions.revoke(body.token, context=call.context)
    return records.DONE


@routes.add("POST", "/revoke-sessions", access=ACCOUNT)
async def revoke_sessions(call: CurrentRequest) -> records.Done:
    """End all sessions, including the current one."""
    await call.runtime.manage_sessions.revoke_all(context=call.context)
    return records.DONE


@routes.add("POST", "/revoke-other-sessions", access=ACCOUNT)
async def revoke_other_sessions(call: CurrentRequest) -> records.Done:
    """End all other sessions."""
    await call.runtime.manage_sessions.revoke_others(context=call.context)
    return records.DONE


@routes.add("POST", "/update-user", access=ACCOUNT)
async def update_user(body: ClientUpdateUserRequest, call: CurrentRequest) -> records.Done:
    """Change the name, the picture or the deployment's own fields. An email address is refused, not ignored."""
    if "email" in (body.model_extra or {}):
        raise EmailCannotBeUpdated
    check_not_null(body.model_fields_set, name=body.name)
    await update_profile(
        call.runtime.services,
        name=body.name,
        image=body.image,
        clears_image="image" in body.model_fields_set and body.image is None,
        fields=body.user_fields(call.user_fields.names),
        context=call.context,
    )
    return records.DONE
