"""Approving a command line in the browser (RFC 8628), with the names of better-auth's device client."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import Query
from pydantic import AliasChoices, Field

from czo_auth.core.access import ACCOUNT, PUBLIC
from czo_auth.core.errors import InvalidRequest, UnsupportedGrantType
from czo_auth.core.flows.devices.authorize import DeviceRequest
from czo_auth.core.limits import MAX_CODE, MAX_ID
from czo_auth.rest import records
from czo_auth.rest.oauth_parameters import OAuthParameters, Parameter, Seconds, split_scope
from czo_auth.rest.routing import CurrentRequest, Routes

DEVICE_CODE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
PAGE: Final = "/device"

routes = Routes("Device approval")
UserCode = Annotated[str, Field(min_length=1, max_length=MAX_CODE)]


def _either(*names: str) -> Any:
    return Field(default=None, validation_alias=AliasChoices(*names))


class DeviceCodeRequest(OAuthParameters):
    client_id: Parameter = None
    name: Parameter = None
    scope: Parameter = None
    organization_id: Annotated[Parameter, _either("organizationId", "organization_id")] = None
    expires_in: Annotated[Seconds, _either("expiresIn", "expires_in")] = None


class DeviceTokenRequest(OAuthParameters):
    grant_type: Parameter = None
    device_code: Annotated[Parameter, Field(repr=False)] = None
    client_id: Parameter = None


class DeviceDecision(OAuthParameters):
    user_code: Annotated[
        str,
        Field(min_length=1, max_length=MAX_CODE, validation_alias=AliasChoices("userCode", "user_code")),
    ]


class DeviceApproval(DeviceDecision):
    password: Annotated[str | None, Field(repr=False)] = None
    code: Annotated[str | None, Field(max_length=MAX_CODE, repr=False)] = None


@routes.add("POST", "/device/code", access=PUBLIC, oauth=True)
async def request_codes(body: DeviceCodeRequest, call: CurrentRequest) -> records.DeviceCodes:
    """Start a device authorization: issue a device code, and a user code that a person types in the browser."""
    if body.client_id is None:
        raise InvalidRequest("The parameter client_id is missing.")
    codes = await call.runtime.devices.request(
        DeviceRequest(
            client_id=body.client_id,
            name=body.name,
            scopes=split_scope(body.scope) or (),
            organization_id=None if body.organization_id is None else body.organization_id[:MAX_ID],
            key_lifetime=None if body.expires_in is None else timedelta(seconds=body.expires_in),
        ),
        context=call.context,
    )
    settings = call.runtime.settings
    return records.DeviceCodes.of(codes, page=settings.public_url + settings.pages_path + PAGE)


@routes.add("GET", "/device", access=ACCOUNT, oauth=True, get_has_effects=True)
async def open_request(
    call: CurrentRequest, user_code: Annotated[str, Query(min_length=1, max_length=MAX_CODE)]
) -> records.DeviceApprovalRequest:
    """Return the request of a user code. Only the first session that asks may approve or refuse it."""
    opened = await call.runtime.devices.open(user_code, context=call.context)
    return records.DeviceApprovalRequest.of(opened)


@routes.add("POST", "/device/approve", access=ACCOUNT, oauth=True)
async def approve(body: DeviceApproval, call: CurrentRequest) -> records.Succeeded:
    """Approve the request: the device gets a key with the approver's current rights. Needs recent proof."""
    await call.runtime.devices.approve(
        body.user_code, password=body.password, code=body.code, context=call.context
    )
    return records.SUCCEEDED


@routes.add("POST", "/device/deny", access=ACCOUNT, oauth=True)
async def deny(body: DeviceDecision, call: CurrentRequest) -> records.Succeeded:
    """Deny the request."""
    await call.runtime.devices.deny(body.user_code, context=call.context)
    return records.SUCCEEDED


@routes.add("POST", "/device/token", access=PUBLIC, oauth=True)
async def fetch(body: DeviceTokenRequest, call: CurrentRequest) -> records.FetchedKey:
    """Return the key, once. Until the request is approved, the answer tells the device to ask again."""
    if body.grant_type is None:
        raise InvalidRequest("The parameter grant_type is missing.")
    if body.grant_type != DEVICE_CODE_GRANT:
        raise UnsupportedGrantType
    return await fetch_key(call, device_code=body.device_code, client_id=body.client_id)


async def fetch_key(
    call: CurrentRequest, *, device_code: str | None, client_id: str | None
) -> records.FetchedKey:
    """Handle the grant of RFC 8628 section 3.4, for both token endpoints."""
    if device_code is None or client_id is None:
        missing = "device_code" if device_code is None else "client_id"
        raise InvalidRequest(f"The parameter {missing} is missing.")
    fetched = await call.runtime.devices.fetch(device_code, client_id=client_id, context=call.context)
    return records.FetchedKey.of(fetched)
