"""Webhook endpoints of administrators and of organizations' owners."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from czo_auth.asgi.admission import RequestContext
from czo_auth.core.access import ACCOUNT, ADMINISTRATION
from czo_auth.core.flows.organizations.two_factor import Proof
from czo_auth.core.flows.webhooks.input import NewWebhook, WebhookChanges
from czo_auth.core.limits import DEFAULT_PAGE, MAX_WEBHOOK_PATTERNS, MAX_WEBHOOK_URL
from czo_auth.core.paging import PageQuery
from czo_auth.core.webhooks.webhook import DeliveryStatus
from czo_auth.rest import records
from czo_auth.rest.answers import no_content
from czo_auth.rest.idempotency import Idempotent
from czo_auth.rest.models import Body, Code, Description, Identifier, Moment, Password
from czo_auth.rest.queries import Cursor, Limit
from czo_auth.rest.routing import CurrentRequest, Routes
from czo_auth.rest.serialization import listed

routes = Routes("Webhooks")
ADMIN = "/admin/webhooks"
OWNER = "/organizations/{organization_id}/webhooks"

Url = Annotated[str, Field(min_length=1, json_schema_extra={"maxLength": MAX_WEBHOOK_URL})]
Patterns = Annotated[list[Identifier], Field(max_length=MAX_WEBHOOK_PATTERNS)]
Status = Annotated[DeliveryStatus | None, Query()]


class ProofRequest(Body):
    """Every change needs recent proof; missing parts of it may be sent along."""

    password: Password | None = None
    code: Code | None = None

    @property
    def proof(self) -> Proof:
        """Return the proof in the body."""
        return Proof(password=self.password, code=self.code)


class CreateRequest(ProofRequest):
    url: Url
    events: Patterns
    description: Description | None = None


class ChangeRequest(ProofRequest):
    url: Url | None = None
    events: Patterns | None = None
    enabled: bool | None = None
    description: Description | None = None


class ReplayRequest(ProofRequest):
    since: Moment | None = None
    delivery_id: Identifier | None = None


async def _may_still_manage(call: RequestContext, request: Request, _: Any) -> None:
    await call.runtime.webhooks.list(request.path_params["organization_id"], context=call.context)


FOR_OWNERS = Idempotent(recheck=_may_still_manage)
FOR_ADMINISTRATORS = Idempotent()
"""Callers who are no longer administrators are not admitted."""


async def _create(
    call: CurrentRequest, organization_id: str | None, body: CreateRequest
) -> records.CreatedWebhook:
    new = NewWebhook(url=body.url, events=body.events, description=body.description)
    created = await call.runtime.webhooks.create(organization_id, new, proof=body.proof, context=call.context)
    return records.CreatedWebhook.of_created(created)


async def _list(call: CurrentRequest, organization_id: str | None, query: PageQuery) -> records.WebhookList:
    page = await call.runtime.webhooks.list(organization_id, query, context=call.context)
    return await listed(records.WebhookList.of, page)


async def _get(call: CurrentRequest, organization_id: str | None, webhook_id: str) -> records.WebhookAnswer:
    found = await call.runtime.webhooks.get(organization_id, webhook_id, context=call.context)
    return records.WebhookAnswer.of(found)


async def _change(
    call: CurrentRequest, organization_id: str | None, webhook_id: str, body: ChangeRequest
) -> records.WebhookAnswer:
    changes = WebhookChanges(
        given=frozenset(body.model_fields_set) - {"password", "code"},
        url=body.url,
        events=body.events,
        description=body.description,
        enabled=body.enabled,
    )
    changed = await call.runtime.webhooks.update(
        organization_id, webhook_id, changes, proof=body.proof, context=call.context
    )
    return records.WebhookAnswer.of(changed)


async def _delete(
    call: CurrentRequest, organization_id: str | None, webhook_id: str, body: ProofRequest
) -> Response:
    await call.runtime.webhooks.delete(organization_id, webhook_id, proof=body.proof, context=call.context)
    return no_content()


async def _rotate(
    call: CurrentRequest, organization_id: str | None, webhook_id: str, body: ProofRequest
) -> records.WebhookSecret:
    secret = await call.runtime.webhooks.rotate_secret(
        organization_id, webhook_id, proof=body.proof, context=call.context
    )
    return records.WebhookSecret(secret=secret)


async def _test(
    call: CurrentRequest, organization_id: str | None, webhook_id: str, body: ProofRequest
) -> records.WebhookDeliveryAnswer:
    delivery = await call.runtime.webhooks.test(
        organization_id, webhook_id, proof=body.proof, context=call.context
    )
    return records.WebhookDeliveryAnswer.of(delivery)


async def _deliveries(
    call: CurrentRequest,
    organization_id: str | None,
    webhook_id: str,
    status: DeliveryStatus | None,
    query: PageQuery,
) -> records.WebhookDeliveryList:
    page = await call.runtime.webhooks.deliveries(
        organization_id, webhook_id, status=status, query=query, context=call.context
    )
    return await listed(records.WebhookDeliveryList.of, page)


async def _replay(
    call: CurrentRequest, organization_id: str | None, webhook_id: str, body: ReplayRequest
) -> records.Done:
    await call.runtime.webhooks.replay(
        organization_id,
        webhook_id,
        since=body.since,
        delivery_id=body.delivery_id,
        proof=body.proof,
        context=call.context,
    )
    return records.DONE


# --- administrators ---
@routes.add("POST", ADMIN, access=ADMINISTRATION, status=201, idempotent=FOR_ADMINISTRATORS)
async def admin_create(body: CreateRequest, call: CurrentRequest) -> records.CreatedWebhook:
    """Create a webhook endpoint of the administrators. Only this answer shows its secret."""
    return await _create(call, None, body)


@routes.add("GET", ADMIN, access=ADMINISTRATION)
async def admin_list(
    call: CurrentRequest, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> records.WebhookList:
    """List the webhook endpoints of the administrators, oldest first."""
    return await _list(call, None, PageQuery(limit=limit, cursor=cursor))


@routes.add("GET", ADMIN + "/{webhook_id}", access=ADMINISTRATION)
async def admin_get(webhook_id: str, call: CurrentRequest) -> records.WebhookAnswer:
    """Return one webhook endpoint."""
    return await _get(call, None, webhook_id)


@routes.add("PATCH", ADMIN + "/{webhook_id}", access=ADMINISTRATION)
async def admin_change(webhook_id: str, body: ChangeRequest, call: CurrentRequest) -> records.WebhookAnswer:
    """Change a webhook endpoint. Events from the time while it is off are delivered only if they are replayed."""
    return await _change(call, None, webhook_id, body)


@routes.add("DELETE", ADMIN + "/{webhook_id}", access=ADMINISTRATION, status=204)
async def admin_delete(webhook_id: str, body: ProofRequest, call: CurrentRequest) -> Response:
    """Delete a webhook endpoint with its log of deliveries."""
    return await _delete(call, None, webhook_id, body)


@routes.add(
    "POST", ADMIN + "/{webhook_id}/secret", access=ADMINISTRATION, status=201, idempotent=FOR_ADMINISTRATORS
)
async def admin_rotate(webhook_id: str, body: ProofRequest, call: CurrentRequest) -> records.WebhookSecret:
    """Create a new secret; only this answer shows it. The previous secret also signs for 24 hours."""
    return await _rotate(call, None, webhook_id, body)


@routes.add(
    "POST", ADMIN + "/{webhook_id}/test", access=ADMINISTRATION, status=202, idempotent=FOR_ADMINISTRATORS
)
async def admin_test(
    webhook_id: str, body: ProofRequest, call: CurrentRequest
) -> records.WebhookDeliveryAnswer:
    """Send an event of type `auth.webhook.test` to this endpoint."""
    return await _test(call, None, webhook_id, body)


@routes.add("GET", ADMIN + "/{webhook_id}/deliveries", access=ADMINISTRATION)
async def admin_deliveries(
    webhook_id: str,
    call: CurrentRequest,
    status: Status = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> records.WebhookDeliveryList:
    """List the deliveries, newest first."""
    return await _deliveries(call, None, webhook_id, status, PageQuery(limit=limit, cursor=cursor))


@routes.add(
    "POST", ADMIN + "/{webhook_id}/replay", access=ADMINISTRATION, status=202, idempotent=FOR_ADMINISTRATORS
)
async def admin_replay(webhook_id: str, body: ReplayRequest, call: CurrentRequest) -> records.Done:
    """Send one delivery again, or all events since a time, for up to 30 days back."""
    return await _replay(call, None, webhook_id, body)


# --- owners of an organization ---
@routes.add("POST", OWNER, access=ACCOUNT, status=201, idempotent=FOR_OWNERS)
async def owner_create(
    organization_id: str, body: CreateRequest, call: CurrentRequest
) -> records.CreatedWebhook:
    """Create a webhook endpoint of an organization. Only this answer shows its secret. For owners."""
    return await _create(call, organization_id, body)


@routes.add("GET", OWNER, access=ACCOUNT)
async def owner_list(
    organization_id: str, call: CurrentRequest, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> records.WebhookList:
    """List the webhook endpoints of an organization, oldest first. For owners."""
    return await _list(call, organization_id, PageQuery(limit=limit, cursor=cursor))


@routes.add("GET", OWNER + "/{webhook_id}", access=ACCOUNT)
async def owner_get(organization_id: str, webhook_id: str, call: CurrentRequest) -> records.WebhookAnswer:
    """Return one webhook endpoint."""
    return await _get(call, organization_id, webhook_id)


@routes.add("PATCH", OWNER + "/{webhook_id}", access=ACCOUNT)
async def owner_change(
    organization_id: str, webhook_id: str, body: ChangeRequest, call: CurrentRequest
) -> records.WebhookAnswer:
    """Change a webhook endpoint. Events from the time while it is off are delivered only if they are replayed."""
    return await _change(call, organization_id, webhook_id, body)


@routes.add("DELETE", OWNER + "/{webhook_id}", access=ACCOUNT, status=204)
async def owner_delete(
    organization_id: str, webhook_id: str, body: ProofRequest, call: CurrentRequest
) -> Response:
    """Delete a webhook endpoint with its log of deliveries."""
    return await _delete(call, organization_id, webhook_id, body)


@routes.add("POST", OWNER + "/{webhook_id}/secret", access=ACCOUNT, status=201, idempotent=FOR_OWNERS)
async def owner_rotate(
    organization_id: str, webhook_id: str, body: ProofRequest, call: CurrentRequest
) -> records.WebhookSecret:
    """Create a new secret; only this answer shows it. The previous secret also signs for 24 hours."""
    return await _rotate(call, organization_id, webhook_id, body)


@routes.add("POST", OWNER + "/{webhook_id}/test", access=ACCOUNT, status=202, idempotent=FOR_OWNERS)
async def owner_test(
    organization_id: str, webhook_id: str, body: ProofRequest, call: CurrentRequest
) -> records.WebhookDeliveryAnswer:
    """Send an event of type `auth.webhook.test` to this endpoint."""
    return await _test(call, organization_id, webhook_id, body)


@routes.add("GET", OWNER + "/{webhook_id}/deliveries", access=ACCOUNT)
async def owner_deliveries(
    organization_id: str,
    webhook_id: str,
    call: CurrentRequest,
    status: Status = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> records.WebhookDeliveryList:
    """List the deliveries, newest first."""
    return await _deliveries(call, organization_id, webhook_id, status, PageQuery(limit=limit, cursor=cursor))


@routes.add("POST", OWNER + "/{webhook_id}/replay", access=ACCOUNT, status=202, idempotent=FOR_OWNERS)
async def owner_replay(
    organization_id: str, webhook_id: str, body: ReplayRequest, call: CurrentRequest
) -> records.Done:
    """Send one delivery again, or all events since a time, for up to 30 days back."""
    return await _replay(call, organization_id, webhook_id, body)
