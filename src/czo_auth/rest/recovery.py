"""The pending reset of one's own second factor, requested by an administrator: read and cancel it."""

from __future__ import annotations

from starlette.responses import Response

from czo_auth.core.access import ACCOUNT, PUBLIC
from czo_auth.rest import records
from czo_auth.rest.answers import no_content
from czo_auth.rest.models import Body, Token
from czo_auth.rest.routing import CurrentRequest, Routes

routes = Routes("Recovery")


class CancelResetRequest(Body):
    token: Token


@routes.add("GET", "/two-factor/reset", access=ACCOUNT)
async def find_reset(call: CurrentRequest) -> records.ResetAnswer:
    """Return the pending reset of the caller's second factor; null if there is none."""
    reset = await call.runtime.recovery.find(call.caller.require_user())
    return records.ResetAnswer.of(reset)


@routes.add("DELETE", "/two-factor/reset", access=ACCOUNT, status=204)
async def cancel_reset(call: CurrentRequest) -> Response:
    """Cancel the pending reset of the caller's second factor."""
    await call.runtime.recovery.cancel_own(context=call.context)
    return no_content()


@routes.add("POST", "/two-factor/reset/cancel", access=PUBLIC)
async def cancel_reset_by_token(body: CancelResetRequest, call: CurrentRequest) -> records.Done:
    """Cancel a reset with the token that was mailed to its user. The token is valid until the reset is due."""
    await call.runtime.recovery.cancel_by_token(body.token, context=call.context)
    return records.DONE
