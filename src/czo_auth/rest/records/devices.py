"""Approving a command line in the browser. Source: RFC 8628, and better-auth's device client."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema

from czo_auth.core.devices.authorization import CODE_LIFETIME, POLL_INTERVAL
from czo_auth.core.flows.devices import authorize as flow
from czo_auth.rest.records.base import (
    ABSENT_IF_NONE,
    ABSENT_UNLESS_SET,
    Count,
    Id,
    OAuthRecord,
    Timestamp,
    token_schema,
)

DeviceCode = Annotated[str, WithJsonSchema(token_schema("czv_"))]


class DeviceCodes(OAuthRecord):
    """A device code, the user code that a person types, and the address for it. Source: RFC 8628 section 3.2."""

    device_code: DeviceCode
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: Count
    interval: Count

    @classmethod
    def of(cls, codes: flow.DeviceCodes, *, page: str) -> Self:
        """Make the record of *codes*; *page* is the address at which the user code is typed."""
        return cls(
            device_code=codes.device_code,
            user_code=codes.user_code,
            verification_uri=page,
            verification_uri_complete=f"{page}?user_code={codes.user_code}",
            expires_in=int(CODE_LIFETIME.total_seconds()),
            interval=int(POLL_INTERVAL.total_seconds()),
        )


class DeviceApprovalRequest(OAuthRecord):
    """The request of a user code; a session that did not open it sees only that it exists."""

    user_code: str
    status: Literal["pending", "approved", "denied"]
    client_id: str | None = ABSENT_UNLESS_SET
    name: str | None = ABSENT_UNLESS_SET
    scope: str | None = ABSENT_UNLESS_SET
    organization_id: Annotated[Id | None, Field(alias="organizationId")] = ABSENT_UNLESS_SET
    ip_address: Annotated[str | None, Field(alias="ipAddress")] = ABSENT_UNLESS_SET
    expires_at: Annotated[Timestamp | None, Field(alias="expiresAt")] = ABSENT_IF_NONE

    @classmethod
    def of(cls, opened: flow.OpenedRequest) -> Self:
        """Make the record of *opened*."""
        found = opened.authorization
        own: dict[str, Any] = {}
        if opened.is_own:
            own = {
                "name": found.name,
                "scope": " ".join(found.scopes),
                "organization_id": found.organization_id,
                "ip_address": found.ip,
                "expires_at": found.expires_at,
            }
        # The browser does not learn whether the device fetched the key.
        status = "approved" if found.status == "fetched" else found.status
        return cls.model_validate(
            {"user_code": opened.user_code, "status": status, "client_id": found.client_id, **own}
        )


class FetchedKey(OAuthRecord):
    """The key that was created for a device; never shown again. Source: RFC 8628 section 3.5."""

    access_token: str
    token_type: Literal["Bearer"]
    scope: str
    expires_in: Count | None = ABSENT_IF_NONE

    @classmethod
    def of(cls, fetched: flow.FetchedKey) -> Self:
        """Make the record of *fetched*."""
        life = fetched.expires_in
        return cls(
            access_token=fetched.key,
            token_type="Bearer",  # noqa: S106 - the name of a type
            scope=" ".join(fetched.scopes),
            expires_in=None if life is None else int(life.total_seconds()),
        )
