"""Passkeys: the routes of better-auth's plugin, and passkeys as the second factor."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Query
from starlette.responses import Response

from czo_auth.asgi.admission import RequestContext
from czo_auth.asgi.session_cookies import clear_ceremony_cookie, set_ceremony_cookie
from czo_auth.core.access import ACCOUNT, ENROLLING, PUBLIC, USING_A_PASSKEY
from czo_auth.core.errors import InvalidChallenge
from czo_auth.core.fields import checked_name
from czo_auth.core.flows.passkeys.options import Options
from czo_auth.core.limits import MAX_PASSKEY_NAME
from czo_auth.core.principal import Principal
from czo_auth.rest import records
from czo_auth.rest.answers import Answer, renewed, set_session
from czo_auth.rest.idempotency import Idempotent
from czo_auth.rest.models import Body, Code, Identifier, Password, Token, TolerantBody, checked, stripped
from czo_auth.rest.routing import CurrentRequest, Routes

routes = Routes("Passkeys")

OptionsRecord = TypeVar("OptionsRecord", records.PasskeyCreationOptions, records.PasskeyRequestOptions)
ResponseT = TypeVar("ResponseT", bound=Response)

PasskeyName = Annotated[
    str, stripped(MAX_PASSKEY_NAME), checked(partial(checked_name, longest=MAX_PASSKEY_NAME))
]
CredentialResponse = dict[str, Any]
"""The result of `navigator.credentials` as JSON; the flows validate it."""


class VerifyRegistrationRequest(TolerantBody):
    response: CredentialResponse
    name: PasskeyName | None = None
    ceremony: Token | None = None
    enable_two_factor: bool = False


class VerifyAuthenticationRequest(TolerantBody):
    response: CredentialResponse
    ceremony: Token | None = None
    actor_type: Identifier | None = None


class UpdatePasskeyRequest(TolerantBody):
    id: Identifier
    name: PasskeyName


class DeletePasskeyRequest(TolerantBody):
    id: Identifier
    password: Password | None = None
    code: Code | None = None


class PasskeyOptionsRequest(Body):
    challenge: Token | None = None


class VerifyPasskeyRequest(Body):
    response: CredentialResponse
    ceremony: Token | None = None
    challenge: Token | None = None
    trust_device: bool = False


@routes.add(
    "GET",
    "/passkey/generate-register-options",
    access=ENROLLING,
    ignores_unknown_fields=True,
    get_has_effects=True,
)
async def generate_register_options(
    call: CurrentRequest,
    name: Annotated[str | None, Query(max_length=MAX_PASSKEY_NAME)] = None,
    attachment: Annotated[
        Literal["platform", "cross-platform"] | None, Query(alias="authenticatorAttachment")
    ] = None,
) -> Answer[records.PasskeyCreationOptions]:
    """Begin to register a passkey, after recent proof."""
    options = await call.runtime.register_passkey.options(
        label=(name or "").strip() or None, attachment=attachment, context=call.context
    )
    return _options(call, options, records.PasskeyCreationOptions)


@routes.add(
    "POST", "/passkey/verify-registration", access=ENROLLING, idempotent=Idempotent(shows_enrollment=True)
)
async def verify_registration(
    body: VerifyRegistrationRequest, call: CurrentRequest
) -> Answer[records.RegisteredPasskey]:
    """Store the passkey. If it turns two-factor authentication on, the answer has backup codes and a new session."""
    registered = await call.runtime.register_passkey.finish(
        body.response,
        ceremony=body.ceremony or _ceremony_cookie(call),
        name=body.name,
        enables_two_factor=body.enable_two_factor,
        context=call.context,
    )
    lifetime = call.runtime.services.access_tokens.lifetime
    response = Answer(
        records.RegisteredPasskey.of_registered(registered, call.user_fields, lifetime=lifetime)
    )
    if registered.signed_in is not None:
        set_session(call, response, registered.signed_in)
    return _finished(call, response)


@routes.add("GET", "/passkey/list-user-passkeys", access=ACCOUNT, ignores_unknown_fields=True)
async def list_user_passkeys(call: CurrentRequest) -> list[records.Passkey]:
    """List the caller's passkeys, newest first."""
    found = await call.runtime.manage_passkeys.list(call.caller)
    return [records.Passkey.of(passkey) for passkey in found]


@routes.add("POST", "/passkey/update-passkey", access=ACCOUNT)
async def update_passkey(body: UpdatePasskeyRequest, call: CurrentRequest) -> records.PasskeyAnswer:
    """Rename a passkey."""
    renamed = await call.runtime.manage_passkeys.rename(body.id, name=body.name, context=call.context)
    return records.PasskeyAnswer.of(renamed)


@routes.add("POST", "/passkey/delete-passkey", access=ACCOUNT)
async def delete_passkey(body: DeletePasskeyRequest, call: CurrentRequest) -> records.Done:
    """Remove a passkey, after recent proof."""
    await call.runtime.manage_passkeys.remove(
        body.id, password=body.password, code=body.code, context=call.context
    )
    return records.DONE


@routes.add(
    "GET",
    "/passkey/generate-authenticate-options",
    access=PUBLIC,
    ignores_unknown_fields=True,
    get_has_effects=True,
)
async def generate_authenticate_options(call: CurrentRequest) -> Answer[records.PasskeyRequestOptions]:
    """Begin a sign-in with a passkey; nothing is stored."""
    options = call.runtime.passkey_sign_in.options(now=call.now)
    return _options(call, options, records.PasskeyRequestOptions)


@routes.add("POST", "/passkey/verify-authentication", access=PUBLIC, opens_session=True)
async def verify_authentication(
    body: VerifyAuthenticationRequest, call: CurrentRequest
) -> Answer[records.SignedIn]:
    """Sign in with a passkey, which counts as both factors."""
    outcome = await call.runtime.passkey_sign_in.finish(
        body.response,
        ceremony=body.ceremony or _ceremony_cookie(call),
        actor=body.actor_type,
        known_browser=call.known_browser,
        context=call.context,
    )
    return _finished(call, renewed(call, outcome))


@routes.add("POST", "/two-factor/passkey-options", access=USING_A_PASSKEY)
async def passkey_options(
    body: PasskeyOptionsRequest, call: CurrentRequest
) -> Answer[records.PasskeyRequestOptions]:
    """Begin to prove a passkey as the second factor, at sign-in or in a session."""
    second_step = call.runtime.passkey_second_step
    challenge = body.challenge or _challenge_cookie(call)
    if challenge is not None:
        options = await second_step.challenge_options(challenge, now=call.now)
    else:
        options = await second_step.step_up_options(context=call.context.of(_stepping_up(call)))
    return _options(call, options, records.PasskeyRequestOptions)


@routes.add("POST", "/two-factor/verify-passkey", access=USING_A_PASSKEY)
async def verify_passkey(body: VerifyPasskeyRequest, call: CurrentRequest) -> Answer[records.SignedIn]:
    """Finish a sign-in with a passkey, or prove it in a session."""
    second_step = call.runtime.passkey_second_step
    ceremony = body.ceremony or _ceremony_cookie(call)
    challenge = body.challenge or _challenge_cookie(call)
    if challenge is not None:
        outcome = await second_step.complete_sign_in(
            challenge,
            body.response,
            ceremony=ceremony,
            wants_trust=body.trust_device,
            known_browser=call.known_browser,
            context=call.context,
        )
    else:
        outcome = await second_step.step_up(
            body.response, ceremony=ceremony, context=call.context.of(_stepping_up(call))
        )
    return _finished(call, renewed(call, outcome, verified=True))


def _stepping_up(call: RequestContext) -> Principal:
    """
    Return the caller whose session gets the proof.

    Raises:
        InvalidChallenge: There is neither a challenge nor a session.
    """
    if call.context.principal is None:
        raise call.origin_refusal or InvalidChallenge()
    return call.context.principal


def _challenge_cookie(call: RequestContext) -> str | None:
    return call.cookie(call.authenticator.cookies.challenge) if call.context.principal is None else None


def _ceremony_cookie(call: RequestContext) -> str | None:
    return call.cookie(call.authenticator.cookies.ceremony)


def _options(call: RequestContext, options: Options, model: type[OptionsRecord]) -> Answer[OptionsRecord]:
    response = Answer(model.model_validate(options))
    set_ceremony_cookie(call, response, str(options["ceremony"]))
    return response


def _finished(call: RequestContext, response: ResponseT) -> ResponseT:
    clear_ceremony_cookie(call, response)
    return response
