"""Service accounts of organizations, and all keys that act in an organization. For owners and admins."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from czo_auth.asgi.admission import RequestContext
from czo_auth.core import limits
from czo_auth.core.access import ACCOUNT
from czo_auth.core.api_keys.store import KeyFilter
from czo_auth.core.flows.organizations.two_factor import Proof
from czo_auth.core.flows.service_accounts.manage import NewServiceAccount, ServiceAccountChanges
from czo_auth.core.limits import DEFAULT_PAGE
from czo_auth.core.paging import PageQuery
from czo_auth.rest import records
from czo_auth.rest.answers import no_content
from czo_auth.rest.api_keys import NewApiKeyRequest, Scopes, Seconds, UpdateApiKeyRequest, seconds
from czo_auth.rest.idempotency import Idempotent
from czo_auth.rest.models import Body, Code, Description, Identifier, Name, Password
from czo_auth.rest.queries import Cursor, FirstDay, LastDay, Limit, UnusedSince
from czo_auth.rest.routing import CurrentRequest, Routes
from czo_auth.rest.serialization import listed

routes = Routes("Service accounts")
IdFilter = Annotated[str | None, Query(min_length=1, max_length=limits.MAX_ID)]

_ACCOUNTS = "/organizations/{organization_id}/service-accounts"
_ACCOUNT = _ACCOUNTS + "/{account_id}"
_KEYS = "/organizations/{organization_id}/api-keys"
_KEY = _KEYS + "/{key_id}"


class RequestWithProof(Body):
    """Proof that may be sent along if the caller gave none recently."""

    password: Password | None = None
    code: Code | None = None

    @property
    def proof(self) -> Proof:
        """Return the proof in the body."""
        return Proof(password=self.password, code=self.code)


class CreateServiceAccountRequest(RequestWithProof):
    name: Name
    description: Description | None = None
    scopes: Scopes


class UpdateServiceAccountRequest(RequestWithProof):
    name: Name | None = None
    description: Description | None = None
    scopes: Scopes | None = None
    enabled: bool | None = None


class CreateServiceAccountKeyRequest(RequestWithProof, NewApiKeyRequest):
    pass


class RotateOrganizationKeyRequest(RequestWithProof):
    overlap_seconds: Seconds = 0


class TransferApiKeyRequest(RequestWithProof):
    service_account_id: Identifier
    overlap_seconds: Seconds = 0


async def _may_still_make_account(call: RequestContext, request: Request, answer: Any) -> None:
    made = answer["serviceAccount"]
    await call.runtime.manage_service_accounts.check_creation(
        made["organizationId"], made["scopes"], context=call.context
    )


async def _may_still_have_key(call: RequestContext, request: Request, answer: Any) -> None:
    made = answer["apiKey"]
    await call.runtime.service_account_keys.check_creation(
        made["organizationId"], made["serviceAccountId"], made["scopes"], context=call.context
    )


_ACCOUNT_ONCE = Idempotent(recheck=_may_still_make_account)
_KEY_ONCE = Idempotent(recheck=_may_still_have_key)


@routes.add("POST", _ACCOUNTS, access=ACCOUNT, status=201, idempotent=_ACCOUNT_ONCE)
async def create(
    organization_id: str, body: CreateServiceAccountRequest, call: CurrentRequest
) -> records.ServiceAccountAnswer:
    """Create a service account. Callers can give it only scopes that they hold themselves. Needs recent proof."""
    new = NewServiceAccount(name=body.name, description=body.description, scopes=tuple(body.scopes))
    created = await call.runtime.manage_service_accounts.create(
        organization_id, new, proof=body.proof, context=call.context
    )
    return records.ServiceAccountAnswer.of(created)


@routes.add("GET", _ACCOUNTS, access=ACCOUNT)
async def list_accounts(
    organization_id: str, call: CurrentRequest, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> records.ServiceAccountList:
    """List the service accounts of an organization, newest first."""
    page = await call.runtime.manage_service_accounts.list(
        organization_id, PageQuery(limit=limit, cursor=cursor), context=call.context
    )
    return await listed(records.ServiceAccountList.of, page)


@routes.add("GET", _ACCOUNT, access=ACCOUNT)
async def get(organization_id: str, account_id: str, call: CurrentRequest) -> records.ServiceAccountAnswer:
    """Return one service account."""
    found = await call.runtime.manage_service_accounts.get(organization_id, account_id, context=call.context)
    return records.ServiceAccountAnswer.of(found)


@routes.add("PATCH", _ACCOUNT, access=ACCOUNT)
async def change(
    organization_id: str, account_id: str, body: UpdateServiceAccountRequest, call: CurrentRequest
) -> records.ServiceAccountAnswer:
    """
    Change the name, description or scopes, disable or enable it. While it is disabled, its keys are refused.

    Adding a scope needs recent proof.
    """
    changes = ServiceAccountChanges(
        given=frozenset(body.model_fields_set) - {"password", "code"},
        name=body.name,
        description=body.description,
        scopes=None if body.scopes is None else tuple(body.scopes),
        enabled=body.enabled,
    )
    changed = await call.runtime.manage_service_accounts.change(
        organization_id, account_id, changes, proof=body.proof, context=call.context
    )
    return records.ServiceAccountAnswer.of(changed)


@routes.add("DELETE", _ACCOUNT, access=ACCOUNT, status=204)
async def delete(organization_id: str, account_id: str, call: CurrentRequest) -> Response:
    """Delete a service account; its keys end at the next request."""
    await call.runtime.manage_service_accounts.delete(organization_id, account_id, context=call.context)
    return no_content()


@routes.add("POST", f"{_ACCOUNT}/api-keys", access=ACCOUNT, status=201, idempotent=_KEY_ONCE)
async def create_key(
    organization_id: str, account_id: str, body: CreateServiceAccountKeyRequest, call: CurrentRequest
) -> records.CreatedOrganizationApiKeyAnswer:
    """
    Create a key of a service account. It keeps working when its creator leaves. Needs recent proof.

    Only this answer contains the key itself.
    """
    created = await call.runtime.service_account_keys.create(
        organization_id, account_id, body.new_key(), proof=body.proof, context=call.context
    )
    return records.CreatedOrganizationApiKeyAnswer.of(created)


@routes.add("GET", f"{_ACCOUNT}/api-keys", access=ACCOUNT)
async def list_account_keys(
    organization_id: str,
    account_id: str,
    call: CurrentRequest,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> records.ActingApiKeyList:
    """List the keys of a service account without their secrets, newest first."""
    page = await call.runtime.organization_keys.list_of_account(
        organization_id, account_id, PageQuery(limit=limit, cursor=cursor), context=call.context
    )
    return await listed(records.ActingApiKeyList.of, page)


@routes.add("GET", f"{_ACCOUNT}/api-keys/{{key_id}}/usage", access=ACCOUNT)
async def usage(
    organization_id: str,
    account_id: str,
    key_id: str,
    call: CurrentRequest,
    first: FirstDay = None,
    last: LastDay = None,
) -> records.KeyUsage:
    """List the days (UTC) on which a key of a service account was used or refused, oldest first."""
    days = await call.runtime.organization_keys.usage_of_account(
        organization_id, account_id, key_id, first=first, last=last, context=call.context
    )
    return records.KeyUsage.of(days)


@routes.add("GET", _KEYS, access=ACCOUNT)
async def list_keys(
    organization_id: str,
    call: CurrentRequest,
    unused_since: UnusedSince = None,
    owner: IdFilter = None,
    created_by: Annotated[
        str | None, Query(alias="createdBy", min_length=1, max_length=limits.MAX_ID)
    ] = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> records.ActingApiKeyList:
    """
    List all keys that act in the organization, of members and service accounts, newest first.

    `owner` is the id of a user or a service account; `unusedSince` includes keys that were never used.
    """
    wanted = KeyFilter(owner=owner, created_by=created_by, unused_since=unused_since)
    page = await call.runtime.organization_keys.list(
        organization_id, wanted, PageQuery(limit=limit, cursor=cursor), context=call.context
    )
    return await listed(records.ActingApiKeyList.of, page)


@routes.add("GET", f"{_KEY}/usage", access=ACCOUNT)
async def key_usage(
    organization_id: str,
    key_id: str,
    call: CurrentRequest,
    first: FirstDay = None,
    last: LastDay = None,
) -> records.KeyUsage:
    """List the days (UTC) on which a key that acts in the organization was used or refused, oldest first."""
    key = await call.runtime.organization_keys.get(organization_id, key_id, context=call.context)
    days = await call.runtime.key_usage.of_any(key.id, first=first, last=last, now=call.now)
    return records.KeyUsage.of(days)


@routes.add("PATCH", _KEY, access=ACCOUNT)
async def change_key(
    organization_id: str, key_id: str, body: UpdateApiKeyRequest, call: CurrentRequest
) -> records.OrganizationApiKeyAnswer:
    """
    Change a service account's key as members change theirs: rename, narrow, switch off or on, tighten.

    A later expiry or a looser quota needs recent proof, and the caller must be able to grant the key's scopes now.
    """
    changed = await call.runtime.change_service_account_keys.change(
        organization_id, key_id, body.changes, context=call.context
    )
    return records.OrganizationApiKeyAnswer.of(changed)


@routes.add("DELETE", _KEY, access=ACCOUNT, status=204)
async def revoke_key(organization_id: str, key_id: str, call: CurrentRequest) -> Response:
    """Revoke any key that acts in the organization, effective at the next request everywhere. Its owner gets a mail."""
    await call.runtime.organization_keys.revoke(organization_id, key_id, context=call.context)
    return no_content()


@routes.add("POST", f"{_KEY}/rotate", access=ACCOUNT, status=201, idempotent=_KEY_ONCE)
async def rotate_key(
    organization_id: str, key_id: str, body: RotateOrganizationKeyRequest, call: CurrentRequest
) -> records.CreatedOrganizationApiKeyAnswer:
    """Rotate a service account's key. The old key expires after the overlap. Needs recent proof."""
    rotated = await call.runtime.service_account_keys.rotate(
        organization_id,
        key_id,
        overlap=seconds(body.overlap_seconds),
        proof=body.proof,
        context=call.context,
    )
    return records.CreatedOrganizationApiKeyAnswer.of(rotated)


@routes.add("POST", f"{_KEY}/transfer", access=ACCOUNT, status=201, idempotent=_KEY_ONCE)
async def transfer_key(
    organization_id: str, key_id: str, body: TransferApiKeyRequest, call: CurrentRequest
) -> records.CreatedOrganizationApiKeyAnswer:
    """
    Transfer a member's key to a service account, which gets a new key. The old key expires after the overlap.

    Needs recent proof.
    """
    transferred = await call.runtime.organization_keys.transfer(
        organization_id,
        key_id,
        body.service_account_id,
        overlap=seconds(body.overlap_seconds),
        proof=body.proof,
        context=call.context,
    )
    return records.CreatedOrganizationApiKeyAnswer.of(transferred)
