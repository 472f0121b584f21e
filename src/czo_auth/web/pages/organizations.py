"""Organizations, their members, and invitations to them."""

from __future__ import annotations

from starlette.responses import Response

from czo_auth.core.access import ACCOUNT
from czo_auth.core.errors import EmailNotVerified, MemberHasApiKeys, ValidationFailed
from czo_auth.core.flows.organizations.changes import NewOrganization, OrganizationChanges
from czo_auth.core.flows.organizations.invitations import NewInvitation
from czo_auth.core.limits import MAX_EMAIL, MAX_PAGE, MAX_ROLE, MAX_SLUG, MAX_TOKEN
from czo_auth.core.organizations import roles
from czo_auth.web.pages.idempotent_forms import Done, Secret, run_idempotent
from czo_auth.web.routing import PageRequest, Pages

pages = Pages()


@pages.get("/organizations", access=ACCOUNT)
async def list_organizations(page: PageRequest) -> Response:
    """Show the user's organizations and invitations, and the form to create an organization."""
    call = page.call
    try:
        received = await call.runtime.received_invitations.list_for(context=call.context)
    except EmailNotVerified:
        received = None
    return page.show(
        "organizations.html",
        page=await call.runtime.manage_organizations.list(call.caller, page.page_query()),
        received=received,
        due_at=(await call.runtime.manage_two_factor.status(context=call.context)).due_at,
    )


@pages.post("/organizations", access=ACCOUNT, again=list_organizations)
async def create(page: PageRequest) -> Response:
    """Create an organization."""
    call = page.call
    new = NewOrganization(name=page.form.text("name"), slug=page.form.optional("slug", max_length=MAX_SLUG))

    async def make() -> Done:
        created = await call.runtime.manage_organizations.create(new, context=call.context)
        return Done(path=f"/organizations/{created.organization.id}", notice="organization_created")

    return await run_idempotent(page, make)


@pages.get("/organizations/{id}", access=ACCOUNT)
async def one_organization(page: PageRequest) -> Response:
    """Show members and invitations, as far as the user may see them."""
    call = page.call
    full = await call.runtime.manage_organizations.get_full(
        page.id("id"), members_limit=MAX_PAGE, context=call.context
    )
    role = full.seen.role or roles.VIEWER
    return page.show(
        "organization.html",
        organization=full.seen.organization,
        mine=full.seen,
        members=full.members,
        more_members=full.members_total - len(full.members),
        invitations=[each for each in full.invitations if each.status == "pending"],
        roles=[name for name in roles.RANK if not roles.outranks(role, name)],
    )


@pages.post("/organizations/{id}/rename", access=ACCOUNT, again=one_organization)
async def rename(page: PageRequest) -> Response:
    """Change the name and the slug."""
    call = page.call
    changes = OrganizationChanges(
        given=frozenset({"name", "slug"}),
        name=page.form.text("name"),
        slug=page.form.text("slug", max_length=MAX_SLUG),
    )
    await call.runtime.manage_organizations.update(page.id("id"), changes, context=call.context)
    return page.redirect(f"/organizations/{page.id('id')}", done="organization_changed")


@pages.post("/organizations/{id}/delete", access=ACCOUNT, again=one_organization)
async def delete(page: PageRequest) -> Response:
    """Delete an organization; its name must be typed to confirm."""
    call = page.call
    seen = await call.runtime.manage_organizations.get(page.id("id"), context=call.context)
    if page.form.optional("typed_name") != seen.organization.name.strip():
        raise ValidationFailed(details=(("typed_name", "This is not the name of the organization."),))
    await call.runtime.manage_organizations.delete(seen.organization.id, context=call.context)
    return page.redirect("/organizations", done="organization_deleted")


@pages.post("/organizations/{id}/key-lives", access=ACCOUNT, again=one_organization)
async def change_key_lives(page: PageRequest) -> Response:
    """Set how long the organization's API keys may live, and after how long without use they expire."""
    call, form = page.call, page.form
    changes = OrganizationChanges(
        given=frozenset({"api_key_max_days", "api_key_unused_days"}),
        api_key_max_days=form.number("max_days") if form.optional("max_days") else None,
        api_key_unused_days=form.number("unused_days") if form.optional("unused_days") else None,
    )
    await call.runtime.manage_organizations.update(page.id("id"), changes, context=call.context)
    return page.redirect(f"/organizations/{page.id('id')}", done="organization_changed")


@pages.post("/organizations/{id}/members/{user}/role", access=ACCOUNT, again=one_organization)
async def change_role(page: PageRequest) -> Response:
    """Change the role of a member."""
    call = page.call
    await call.runtime.manage_members.change_role(
        page.id("id"), page.id("user"), role=page.form.text("role", max_length=MAX_ROLE), context=call.context
    )
    return page.redirect(f"/organizations/{page.id('id')}", done="role_changed")


@pages.post("/organizations/{id}/members/{user}/remove", access=ACCOUNT, again=one_organization)
async def remove_member(page: PageRequest) -> Response:
    """Remove a member; if keys would end, show them first."""
    call, organization_id, user_id = page.call, page.id("id"), page.id("user")
    try:
        await call.runtime.manage_members.remove_member(
            organization_id, user_id, confirms="confirmed" in page.form, context=call.context
        )
    except MemberHasApiKeys:
        return page.redirect(f"/organizations/{organization_id}/members/{user_id}/remove")
    return page.redirect(f"/organizations/{page.id('id')}", done="member_removed")


@pages.post("/organizations/{id}/leave", access=ACCOUNT, again=one_organization)
async def leave(page: PageRequest) -> Response:
    """Leave."""
    call = page.call
    await call.runtime.manage_members.leave(page.id("id"), context=call.context)
    return page.redirect("/organizations", done="organization_left")


@pages.post("/organizations/{id}/invitations", access=ACCOUNT, again=one_organization)
async def invite(page: PageRequest) -> Response:
    """Invite an email address: the link is mailed, and shown on a separate page."""
    call, organization_id = page.call, page.id("id")
    new = NewInvitation(
        email=page.form.text("email", max_length=MAX_EMAIL), role=page.form.text("role", max_length=MAX_ROLE)
    )

    async def send() -> Secret:
        sent = await call.runtime.invitations.invite(organization_id, new, context=call.context)
        links = call.runtime.services.links
        values = {
            "email": sent.invitation.email,
            "role": sent.invitation.role,
            "organization": organization_id,
            "link": links.to_page(links.accept_invitation, sent.token),
        }
        return Secret(kind="invitation", values=values)

    return await run_idempotent(page, send)


@pages.post("/organizations/{id}/invitations/{invitation}/cancel", access=ACCOUNT, again=one_organization)
async def cancel(page: PageRequest) -> Response:
    """Cancel an invitation."""
    call = page.call
    await call.runtime.invitations.cancel(
        page.id("invitation"), organization_id=page.id("id"), context=call.context
    )
    return page.redirect(f"/organizations/{page.id('id')}", done="invitation_canceled")


@pages.post("/invitations/{id}/accept", access=ACCOUNT, again=list_organizations)
async def accept_received(page: PageRequest) -> Response:
    """Accept an invitation to the user's address."""
    call = page.call
    accepted = await call.runtime.received_invitations.accept_by_id(page.id("id"), context=call.context)
    return page.redirect(f"/organizations/{accepted.membership.organization.id}", done="invitation_accepted")


@pages.post("/invitations/{id}/decline", access=ACCOUNT, again=list_organizations)
async def decline(page: PageRequest) -> Response:
    """Decline an invitation to the user's address."""
    call = page.call
    await call.runtime.received_invitations.reject(page.id("id"), context=call.context)
    return page.redirect("/organizations", done="invitation_declined")


@pages.get("/accept-invitation", access=ACCOUNT)
async def accept_form(page: PageRequest) -> Response:
    """Ask whether to accept the invitation; opening the page accepts nothing."""
    token = _token(page)
    received = await page.call.runtime.received_invitations.read_by_token(token, context=page.call.context)
    return page.show("accept_invitation.html", token=token, received=received)


@pages.post("/accept-invitation", access=ACCOUNT, again=accept_form)
async def accept(page: PageRequest) -> Response:
    """Accept an invitation with the token from the mail."""
    call = page.call
    accepted = await call.runtime.received_invitations.accept_by_token(_token(page), context=call.context)
    return page.redirect(f"/organizations/{accepted.membership.organization.id}", done="invitation_accepted")


def _token(page: PageRequest) -> str:
    return (page.form.raw("token") or page.query.raw("token"))[:MAX_TOKEN]
