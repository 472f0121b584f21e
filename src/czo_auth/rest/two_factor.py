"""Two factors: enrollment, verification, backup codes, trusted devices."""

from __future__ import annotations

import asyncio

from pydantic import ConfigDict
from starlette.responses import Response

from czo_auth.asgi.admission import RequestContext
from czo_auth.core.access import ACCOUNT, ENROLLING, ENROLLING_OR_SIGNING_IN
from czo_auth.core.errors import InvalidChallenge, TwoFactorSetupRequired
from czo_auth.core.flows.sessions.issue import SignedIn
from czo_auth.core.limits import DEFAULT_PAGE
from czo_auth.core.paging import PageQuery
from czo_auth.crypto import qr
from czo_auth.rest import records
from czo_auth.rest.answers import SignInAnswer, no_content, sign_in_answer
from czo_auth.rest.idempotency import Idempotent
from czo_auth.rest.models import Body, Code, Issuer, Password, Token, TolerantBody
from czo_auth.rest.queries import Cursor, Limit
from czo_auth.rest.routing import CurrentRequest, Routes
from czo_auth.rest.serialization import listed

routes = Routes("Two factors")


class EnableTwoFactorRequest(TolerantBody):
    password: Password | None = None
    code: Code | None = None
    replace: bool = False
    issuer: Issuer | None = None


class VerifyCodeRequest(Body):
    code: Code
    challenge: Token | None = None
    trust_device: bool = False


class ClientVerifyCodeRequest(TolerantBody, VerifyCodeRequest):
    """The same body from better-auth's client."""

    # Repeated here: with two bases, the configuration of the last one would win.
    model_config = ConfigDict(extra="ignore")


class PasswordRequest(TolerantBody):
    password: Password | None = None


class ReauthenticationRequest(TolerantBody):
    password: Password | None = None
    code: Code | None = None


class DisableRequest(ReauthenticationRequest):
    all: bool = False


@routes.add("GET", "/two-factor", access=ENROLLING)
async def status(call: CurrentRequest) -> records.TwoFactorStatus:
    """Return the state of the second factor, without secrets."""
    state = await call.runtime.manage_two_factor.status(context=call.context)
    return records.TwoFactorStatus.of(state)


@routes.add("POST", "/two-factor/enable", access=ENROLLING, idempotent=Idempotent(shows_enrollment=True))
async def enable(body: EnableTwoFactorRequest, call: CurrentRequest) -> records.PendingEnrollment:
    """Create a secret and ten backup codes; only this answer shows them. The first correct code activates them."""
    drawings: list[asyncio.Task[str]] = []

    def draw_ahead(uri: str) -> None:
        drawings.append(asyncio.create_task(asyncio.to_thread(qr.svg_data_uri, uri)))

    try:
        pending = await call.runtime.enable_two_factor.begin(
            password=body.password,
            code=body.code,
            replace=body.replace,
            issuer=body.issuer,
            context=call.context,
            draw_ahead=draw_ahead,
        )
        qr_code = await (drawings[0] if drawings else asyncio.to_thread(qr.svg_data_uri, pending.totp_uri))
    finally:
        for drawing in drawings:
            drawing.cancel()
    return records.PendingEnrollment.of(pending, qr_code=qr_code)


@routes.add("POST", "/two-factor/verify", access=ENROLLING_OR_SIGNING_IN)
async def verify(body: VerifyCodeRequest, call: CurrentRequest) -> SignInAnswer:
    """Finish a sign-in, confirm an enrollment, or prove the factor again in a session."""
    return await _verify(call, body)


@routes.add("POST", "/two-factor/verify-totp", access=ENROLLING_OR_SIGNING_IN)
async def verify_totp(body: ClientVerifyCodeRequest, call: CurrentRequest) -> SignInAnswer:
    """The same, at the path of better-auth's client."""
    return await _verify(call, body)


async def _verify(call: RequestContext, body: VerifyCodeRequest) -> SignInAnswer:
    runtime = call.runtime
    challenge = body.challenge or (_challenge_cookie(call) if call.context.principal is None else None)
    outcome: SignedIn | None
    if challenge is not None:
        outcome = await runtime.second_factor.complete_sign_in(
            challenge,
            body.code,
            "totp",
            wants_trust=body.trust_device,
            known_browser=call.known_browser,
            context=call.context,
        )
    else:
        if call.context.principal is None:
            raise call.origin_refusal or InvalidChallenge()
        outcome = await runtime.enable_two_factor.confirm(body.code, context=call.context)
        if outcome is None:
            outcome = await runtime.second_factor.step_up(body.code, "totp", context=call.context)
    return sign_in_answer(call, outcome, verified=True)


@routes.add("POST", "/two-factor/verify-backup-code", access=ENROLLING_OR_SIGNING_IN)
async def verify_backup_code(body: ClientVerifyCodeRequest, call: CurrentRequest) -> SignInAnswer:
    """Finish a sign-in or prove the factor again with a backup code. Each backup code works once."""
    challenge = body.challenge or (_challenge_cookie(call) if call.context.principal is None else None)
    if challenge is not None:
        outcome = await call.runtime.second_factor.complete_sign_in(
            challenge,
            body.code,
            "backup",
            wants_trust=body.trust_device,
            known_browser=call.known_browser,
            context=call.context,
        )
    elif call.context.principal is None:
        raise call.origin_refusal or InvalidChallenge()
    elif call.context.principal.restricted_to is not None:
        raise TwoFactorSetupRequired
    else:
        outcome = await call.runtime.second_factor.step_up(body.code, "backup", context=call.context)
    return sign_in_answer(call, outcome, verified=True)


def _challenge_cookie(call: RequestContext) -> str | None:
    return call.cookie(call.authenticator.cookies.challenge)


@routes.add("POST", "/two-factor/get-totp-uri", access=ENROLLING)
async def get_totp_uri(body: PasswordRequest, call: CurrentRequest) -> records.EnrollmentUri:
    """Return the URI of a pending enrollment. An active secret is never shown again."""
    uri = await call.runtime.enable_two_factor.pending_uri(password=body.password, context=call.context)
    return records.EnrollmentUri(totp_uri=uri)


@routes.add(
    "POST",
    "/two-factor/generate-backup-codes",
    access=ACCOUNT,
    idempotent=Idempotent(shows_enrollment=True),
)
async def generate_backup_codes(body: ReauthenticationRequest, call: CurrentRequest) -> records.BackupCodes:
    """Replace the backup codes; only this answer shows the new ones."""
    codes = await call.runtime.manage_two_factor.regenerate_codes(
        password=body.password, code=body.code, context=call.context
    )
    return records.BackupCodes(status=True, backup_codes=list(codes))


@routes.add("POST", "/two-factor/disable", access=ACCOUNT)
async def disable(body: DisableRequest, call: CurrentRequest) -> records.Done:
    """Remove the authenticator app, or all factors."""
    await call.runtime.manage_two_factor.disable(
        password=body.password, code=body.code, everything=body.all, context=call.context
    )
    return records.DONE


@routes.add("GET", "/two-factor/trusted-devices", access=ACCOUNT)
async def list_trusted_devices(
    call: CurrentRequest, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> records.TrustedDeviceList:
    """List the trusted devices, which skip the second factor at sign-in, newest first."""
    page = await call.runtime.trusted_devices.list(
        PageQuery(limit=limit, cursor=cursor), context=call.context
    )
    return await listed(records.TrustedDeviceList.of, page)


@routes.add("DELETE", "/two-factor/trusted-devices/{device_id}", access=ACCOUNT, status=204)
async def revoke_trusted_device(device_id: str, call: CurrentRequest) -> Response:
    """Forget one trusted device."""
    await call.runtime.trusted_devices.revoke(device_id, context=call.context)
    return no_content()


@routes.add("DELETE", "/two-factor/trusted-devices", access=ACCOUNT, status=204)
async def revoke_trusted_devices(call: CurrentRequest) -> Response:
    """Forget all trusted devices."""
    await call.runtime.trusted_devices.revoke_all(context=call.context)
    return no_content()
