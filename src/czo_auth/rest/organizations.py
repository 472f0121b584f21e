"""Organizations and their members."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from czo_auth.asgi.admission import RequestContext
from czo_auth.core.access import ACCOUNT, SERVICE
from czo_auth.core.flows.organizations.changes import NewOrganization, OrganizationChanges
from czo_auth.core.flows.organizations.two_factor import PreviewedRule, Proof
from czo_auth.core.limits import DEFAULT_PAGE, MAX_GRACE_DAYS, MAX_KEY_DAYS, MAX_ROLE, MAX_SLUG
from czo_auth.core.paging import PageQuery
from czo_auth.rest import records
from czo_auth.rest.answers import no_content
from czo_auth.rest.idempotency import Idempotent
from czo_auth.rest.models import Body, Code, Image, Metadata, Moment, Name, Password, Reason, between
from czo_auth.rest.queries import Cursor, Limit
from czo_auth.rest.routing import CurrentRequest, Routes
from czo_auth.rest.serialization import listed

routes = Routes("Organizations")
Slug = Annotated[str, Field(min_length=1, max_length=MAX_SLUG)]
KeyDays = Annotated[int, between(1, MAX_KEY_DAYS)]
GraceDays = Annotated[int, between(0, MAX_GRACE_DAYS)]
Role = Annotated[str, Field(min_length=1, max_length=MAX_ROLE)]


class CreateOrganizationRequest(Body):
    name: Name
    slug: Slug | None = None
    logo: Image | None = None
    metadata: Metadata | None = None


class UpdateOrganizationRequest(Body):
    name: Name | None = None
    slug: Slug | None = None
    logo: Image | None = None
    metadata: Metadata | None = None
    api_key_max_days: KeyDays | None = None
    api_key_unused_days: KeyDays | None = None
    require_two_factor_from: Moment | None = None
    two_factor_grace_days: GraceDays | None = None
    password: Password | None = None
    code: Code | None = None


class ExemptionRequest(Body):
    until: Moment
    reason: Reason
    password: Password | None = None
    code: Code | None = None


class EndExemptionRequest(Body):
    password: Password | None = None
    code: Code | None = None


class ChangeRoleRequest(Body):
    role: Role


class RemoveMemberRequest(Body):
    confirm: bool = False


async def _may_still_see(call: RequestContext, request: Request, answer: Any) -> None:
    await call.runtime.manage_organizations.get(answer["organization"]["id"], context=call.context)


@routes.add(
    "POST", "/organizations", access=ACCOUNT, status=201, idempotent=Idempotent(recheck=_may_still_see)
)
async def create(body: CreateOrganizationRequest, call: CurrentRequest) -> records.OrganizationAnswer:
    """Create an organization; the caller becomes its owner."""
    new = NewOrganization(name=body.name, slug=body.slug, logo=body.logo, metadata=body.metadata)
    created = await call.runtime.manage_organizations.create(new, context=call.context)
    return records.OrganizationAnswer.of(created)


@routes.add("GET", "/organizations", access=SERVICE)
async def list_organizations(
    call: CurrentRequest, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> records.OrganizationList:
    """List the caller's organizations, oldest first; an API key of one organization sees only that one."""
    page = await call.runtime.manage_organizations.list(call.caller, PageQuery(limit=limit, cursor=cursor))
    return await listed(records.OrganizationList.of, page)


@routes.add("GET", "/organizations/{organization_id}", access=SERVICE)
async def get(organization_id: str, call: CurrentRequest) -> records.OrganizationAnswer:
    """Return one of the caller's organizations."""
    seen = await call.runtime.manage_organizations.get(organization_id, context=call.context)
    return records.OrganizationAnswer.of(seen)


@routes.add("PATCH", "/organizations/{organization_id}", access=ACCOUNT)
async def change(
    organization_id: str, body: UpdateOrganizationRequest, call: CurrentRequest
) -> records.OrganizationAnswer:
    """
    Change the name, slug, logo, metadata, or the expiry rules of its API keys. For owners and admins.

    Only owners change from when on members need a second factor, and the days of grace; this needs recent proof.

    A maximum lifetime applies to existing keys too: those that would expire later expire at the new limit, counted from
    now.
    """
    changes = OrganizationChanges(
        given=frozenset(body.model_fields_set) - {"password", "code"},
        name=body.name,
        slug=body.slug,
        logo=body.logo,
        metadata=body.metadata,
        api_key_max_days=body.api_key_max_days,
        api_key_unused_days=body.api_key_unused_days,
        require_two_factor_from=body.require_two_factor_from,
        two_factor_grace_days=body.two_factor_grace_days,
        proof=Proof(password=body.password, code=body.code),
    )
    changed = await call.runtime.manage_organizations.update(organization_id, changes, context=call.context)
    return records.OrganizationAnswer.of(changed)


@routes.add("DELETE", "/organizations/{organization_id}", access=ACCOUNT, status=204)
async def delete(organization_id: str, call: CurrentRequest) -> Response:
    """Delete an organization. Its API keys end. For owners."""
    await call.runtime.manage_organizations.delete(organization_id, context=call.context)
    return no_content()


@routes.add("POST", "/organizations/{organization_id}/activate", access=ACCOUNT)
async def activate(organization_id: str, call: CurrentRequest) -> records.OrganizationAnswer:
    """Set the active organization of this session."""
    seen = await call.runtime.manage_organizations.activate(organization_id, context=call.context)
    return records.OrganizationAnswer.of(seen)


@routes.add("POST", "/organizations/deactivate", access=ACCOUNT, status=204)
async def deactivate(call: CurrentRequest) -> Response:
    """Clear the active organization of this session."""
    await call.runtime.manage_organizations.deactivate(call.caller)
    return no_content()


@routes.add("GET", "/organizations/{organization_id}/two-factor-report", access=ACCOUNT)
async def report_factors(
    organization_id: str,
    call: CurrentRequest,
    require_from: Annotated[Moment | None, Query(alias="requireTwoFactorFrom")] = None,
    grace_days: Annotated[int | None, Query(alias="twoFactorGraceDays", ge=0, le=MAX_GRACE_DAYS)] = None,
) -> records.FactorReport:
    """
    Report which members have a second factor, and who would be refused now. For owners and admins.

    With a date or a grace period, it is a preview of that rule and changes nothing.
    """
    sent = {"from_": require_from is not None, "grace_days": grace_days is not None}
    preview = PreviewedRule(
        given=frozenset(name for name, is_sent in sent.items() if is_sent),
        from_=require_from,
        grace_days=grace_days or 0,
    )
    report = await call.runtime.organization_factors.report(organization_id, preview, context=call.context)
    return records.FactorReport.of(report)


@routes.add("PUT", "/organizations/{organization_id}/members/{user_id}/two-factor-exemption", access=ACCOUNT)
async def exempt(
    organization_id: str, user_id: str, body: ExemptionRequest, call: CurrentRequest
) -> records.ExemptionAnswer:
    """Exempt a member from the second factor until a date. For owners, but not for themselves. Needs recent proof."""
    exemption = await call.runtime.organization_factors.exempt(
        organization_id,
        user_id,
        until=body.until,
        reason=body.reason,
        proof=Proof(password=body.password, code=body.code),
        context=call.context,
    )
    return records.ExemptionAnswer.of(exemption)


@routes.add(
    "DELETE",
    "/organizations/{organization_id}/members/{user_id}/two-factor-exemption",
    access=ACCOUNT,
    status=204,
)
async def end_exemption(
    organization_id: str, user_id: str, body: EndExemptionRequest, call: CurrentRequest
) -> Response:
    """End a member's exemption. For owners. Needs recent proof."""
    proof = Proof(password=body.password, code=body.code)
    await call.runtime.organization_factors.end_exemption(
        organization_id, user_id, proof=proof, context=call.context
    )
    return no_content()


@routes.add("GET", "/organizations/{organization_id}/members", access=SERVICE)
async def list_members(
    organization_id: str, call: CurrentRequest, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> records.MemberList:
    """List the members, oldest first. An API key does not see their email addresses."""
    page = await call.runtime.manage_members.list_members(
        organization_id, PageQuery(limit=limit, cursor=cursor), context=call.context
    )
    return await listed(records.MemberList.of, page)


@routes.add("PATCH", "/organizations/{organization_id}/members/{user_id}", access=ACCOUNT)
async def change_role(
    organization_id: str, user_id: str, body: ChangeRoleRequest, call: CurrentRequest
) -> records.MemberAnswer:
    """Change the role of a member: owner, admin, member or viewer, at most the caller's own."""
    changed = await call.runtime.manage_members.change_role(
        organization_id, user_id, role=body.role, context=call.context
    )
    return records.MemberAnswer.of(changed)


@routes.add("DELETE", "/organizations/{organization_id}/members/{user_id}", access=ACCOUNT, status=204)
async def remove_member(
    organization_id: str, user_id: str, body: RemoveMemberRequest, call: CurrentRequest
) -> Response:
    """
    Remove a member, or leave. The member's API keys that act in the organization end.

    If there are such keys, the request is refused with a list of them unless `confirm` is true. Keys of service
    accounts keep working.
    """
    await call.runtime.manage_members.remove_member(
        organization_id, user_id, confirms=body.confirm, context=call.context
    )
    return no_content()
