"""Organizations, their members, and invitations to them."""

from __future__ import annotations

from starlette.responses import Response

from czo_auth.core.access import ACCOUNT
from czo_auth.core.errors import EmailNotVerified, ValidationFailed
from czo_auth.core.flows.organizations.invitations import NewInvitation
from czo_auth.core.flows.organizations.manage import NewOrganization, OrganizationChanges
from czo_auth.core.organizations import roles
from czo_auth.web.pages.passwords import LONGEST_TOKEN
from czo_auth.web.pages.sign_in import LONGEST_EMAIL
from czo_auth.web.routing import Pages, Visit

pages = Pages()


@pages.get("/organizations", access=ACCOUNT)
async def list_organizations(visit: Visit) -> Response:
    """The caller's organizations, the invitations to them, and a form to found one."""
    call = visit.admitted
    try:
        received = await call.runtime.invitations.list_for(call.principal, now=call.now)
    except EmailNotVerified:
        received = None
    return visit.show(
        "organizations.html",
        organizations=await call.runtime.organizations.list(call.principal),
        received=received,
    )


@pages.post("/organizations", access=ACCOUNT, again=list_organizations)
async def create(visit: Visit) -> Response:
    """Found an organization."""
    call = visit.admitted
    created = await call.runtime.organizations.create(
        call.principal,
        NewOrganization(name=visit.form.text("name"), slug=visit.form.optional("slug", most=64)),
        provenance=call.provenance,
        now=call.now,
    )
    return visit.go(f"/organizations/{created.organization.id}", done="organization_created")


@pages.get("/organizations/{id}", access=ACCOUNT)
async def one_organization(visit: Visit) -> Response:
    """Members and invitations, as far as the caller may see them."""
    call = visit.admitted
    full = await call.runtime.organizations.get_full(call.principal, visit.id("id"))
    role = full.membership.member.role
    return visit.show(
        "organization.html",
        organization=full.membership.organization,
        mine=full.membership,
        members=full.members,
        invitations=[each for each in full.invitations if each.status == "pending"],
        roles=[name for name in roles.RANK if not roles.outranks(role, name)],
    )


@pages.post("/organizations/{id}/rename", access=ACCOUNT, again=one_organization)
async def rename(visit: Visit) -> Response:
    """Change the name and the short name."""
    call = visit.admitted
    changes = OrganizationChanges(
        given=frozenset({"name", "slug"}),
        name=visit.form.text("name"),
        slug=visit.form.text("slug", most=64),
    )
    await call.runtime.organizations.update(
        call.principal, visit.id("id"), changes, provenance=call.provenance, now=call.now
    )
    return visit.go(f"/organizations/{visit.id('id')}", done="organization_changed")


@pages.post("/organizations/{id}/delete", access=ACCOUNT, again=one_organization)
async def delete(visit: Visit) -> Response:
    """Delete an organization whose name was typed to confirm it."""
    call = visit.admitted
    seen = await call.runtime.organizations.get(call.principal, visit.id("id"))
    if visit.form.optional("typed_name") != seen.organization.name.strip():
        raise ValidationFailed(details=(("typed_name", "This is not the name of the organization."),))
    await call.runtime.organizations.delete(
        call.principal, seen.organization.id, provenance=call.provenance, now=call.now
    )
    return visit.go("/organizations", done="organization_deleted")


@pages.post("/organizations/{id}/key-lives", access=ACCOUNT, again=one_organization)
async def change_key_lives(visit: Visit) -> Response:
    """Set how long the organization's API keys may live, and after how long without use they expire."""
    call, form = visit.admitted, visit.form
    changes = OrganizationChanges(
        given=frozenset({"api_key_max_days", "api_key_unused_days"}),
        api_key_max_days=form.number("max_days") if form.optional("max_days") else None,
        api_key_unused_days=form.number("unused_days") if form.optional("unused_days") else None,
    )
    await call.runtime.organizations.update(
        call.principal, visit.id("id"), changes, provenance=call.provenance, now=call.now
    )
    return visit.go(f"/organizations/{visit.id('id')}", done="organization_changed")


@pages.post("/organizations/{id}/members/{user}/role", access=ACCOUNT, again=one_organization)
async def change_role(visit: Visit) -> Response:
    """Give a member another role."""
    call = visit.admitted
    await call.runtime.organizations.change_role(
        call.principal,
        visit.id("id"),
        visit.id("user"),
        role=visit.form.text("role", most=32),
        provenance=call.provenance,
        now=call.now,
    )
    return visit.go(f"/organizations/{visit.id('id')}", done="role_changed")


@pages.post("/organizations/{id}/members/{user}/remove", access=ACCOUNT, again=one_organization)
async def remove_member(visit: Visit) -> Response:
    """Remove a member."""
    call = visit.admitted
    await call.runtime.organizations.remove_member(
        call.principal, visit.id("id"), visit.id("user"), provenance=call.provenance, now=call.now
    )
    return visit.go(f"/organizations/{visit.id('id')}", done="member_removed")


@pages.post("/organizations/{id}/leave", access=ACCOUNT, again=one_organization)
async def leave(visit: Visit) -> Response:
    """Leave."""
    call = visit.admitted
    await call.runtime.organizations.leave(
        call.principal, visit.id("id"), provenance=call.provenance, now=call.now
    )
    return visit.go("/organizations", done="organization_left")


@pages.post("/organizations/{id}/invitations", access=ACCOUNT, again=one_organization)
async def invite(visit: Visit) -> Response:
    """Invite an address; the link is mailed, and shown this once."""
    call = visit.admitted
    sent = await call.runtime.invitations.invite(
        call.principal,
        visit.id("id"),
        NewInvitation(
            email=visit.form.text("email", most=LONGEST_EMAIL), role=visit.form.text("role", most=32)
        ),
        provenance=call.provenance,
        now=call.now,
    )
    links = call.runtime.services.links
    return visit.show(
        "invited.html",
        invitation=sent.invitation,
        link=links.to_page(links.accept_invitation, sent.token),
    )


@pages.post("/organizations/{id}/invitations/{invitation}/cancel", access=ACCOUNT, again=one_organization)
async def cancel(visit: Visit) -> Response:
    """Withdraw an invitation."""
    call = visit.admitted
    await call.runtime.invitations.cancel(
        call.principal,
        visit.id("invitation"),
        organization_id=visit.id("id"),
        provenance=call.provenance,
        now=call.now,
    )
    return visit.go(f"/organizations/{visit.id('id')}", done="invitation_canceled")


@pages.post("/invitations/{id}/accept", access=ACCOUNT, again=list_organizations)
async def accept_received(visit: Visit) -> Response:
    """Accept an invitation to the caller's own address."""
    call = visit.admitted
    accepted = await call.runtime.invitations.accept_by_id(
        call.principal, visit.id("id"), provenance=call.provenance, now=call.now
    )
    return visit.go(f"/organizations/{accepted.membership.organization.id}", done="invitation_accepted")


@pages.post("/invitations/{id}/decline", access=ACCOUNT, again=list_organizations)
async def decline(visit: Visit) -> Response:
    """Decline an invitation to the caller's own address."""
    call = visit.admitted
    await call.runtime.invitations.reject(
        call.principal, visit.id("id"), provenance=call.provenance, now=call.now
    )
    return visit.go("/organizations", done="invitation_declined")


@pages.get("/accept-invitation", access=ACCOUNT)
async def accept_form(visit: Visit) -> Response:
    """Ask whether the invitation shall be accepted; looking accepts nothing."""
    return visit.show("accept_invitation.html", token=_token(visit))


@pages.post("/accept-invitation", access=ACCOUNT, again=accept_form)
async def accept(visit: Visit) -> Response:
    """Accept an invitation with the token from the mail."""
    call = visit.admitted
    accepted = await call.runtime.invitations.accept_by_token(
        call.principal, _token(visit), provenance=call.provenance, now=call.now
    )
    return visit.go(f"/organizations/{accepted.membership.organization.id}", done="invitation_accepted")


def _token(visit: Visit) -> str:
    return (visit.form.raw("token") or visit.query.raw("token"))[:LONGEST_TOKEN]
