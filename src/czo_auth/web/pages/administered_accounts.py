"""Administration of accounts: create, export and delete users, end their sessions, transfer organizations."""

from __future__ import annotations

from starlette.responses import Response

from czo_auth.core.access import ADMINISTRATION
from czo_auth.core.limits import MAX_EMAIL, MAX_REASON, MAX_SEARCH
from czo_auth.web.pages.account import download
from czo_auth.web.pages.administration import one_user, proved, to_user
from czo_auth.web.pages.confirmation import confirmation
from czo_auth.web.routing import PageRequest, Pages

pages = Pages()
PAGE = 30


@pages.get("/admin/new-user", access=ADMINISTRATION)
async def new_user_form(page: PageRequest) -> Response:
    """Show the form to create a user."""
    actors = page.call.runtime.services.actors
    return page.show("admin_new_user.html", actors=list(actors), default_actor=actors.default.name)


@pages.post("/admin/new-user", access=ADMINISTRATION, again=new_user_form)
async def create_user(page: PageRequest) -> Response:
    """Create a user; a mail asks them to set a password."""
    call = page.call
    consume = await proved(page)
    user = await call.runtime.administer_accounts.create(
        email=page.form.text("email", max_length=MAX_EMAIL),
        name=page.form.text("name"),
        actor_types=page.form.all("actor"),
        consume=consume,
        context=call.context,
    )
    return page.redirect(f"/admin/users/{user.id}", done="user_created")


@pages.post("/admin/users/{id}/export", access=ADMINISTRATION, again=one_user)
async def export_user(page: PageRequest) -> Response:
    """Export all data stored about a user, as a file."""
    user_id = page.id("id")
    consume = await proved(page)
    document = await page.call.runtime.export_user.export_of(
        user_id, consume=consume, context=page.call.context
    )
    return await download(page, document, f"account-{user_id}.json")


@pages.post("/admin/users/{id}/delete", access=ADMINISTRATION, again=one_user)
async def delete_user(page: PageRequest) -> Response:
    """Delete a user with all data stored about them."""
    user_id = page.id("id")
    reason = page.form.text("delete_reason", max_length=MAX_REASON)
    consume = await proved(page)
    asked = await confirmation(page, "delete", user_id)
    if asked is not None:
        return asked
    await page.call.runtime.delete_user.delete(
        user_id, reason=reason, consume=consume, context=page.call.context
    )
    return page.redirect("/admin/users", done="user_deleted")


@pages.post("/admin/users/{id}/sessions/end", access=ADMINISTRATION, again=one_user)
async def end_sessions(page: PageRequest) -> Response:
    """End all of a user's sessions."""
    await page.call.runtime.administer_accounts.end_sessions(page.id("id"), context=page.call.context)
    return to_user(page, done="sessions_ended")


@pages.post("/admin/users/{id}/sessions/{session}/end", access=ADMINISTRATION, again=one_user)
async def end_session(page: PageRequest) -> Response:
    """End one session of a user."""
    await page.call.runtime.administer_accounts.end_session(page.id("session"), context=page.call.context)
    return to_user(page, done="session_ended")


@pages.get("/admin/organizations", access=ADMINISTRATION)
async def organizations(page: PageRequest) -> Response:
    """List organizations page by page."""
    found = await page.call.runtime.administer_accounts.search_organizations(
        text=page.query.optional("search", max_length=MAX_SEARCH), page=page.page_query(PAGE)
    )
    return page.show("admin_organizations.html", page=found, fetches=True)


@pages.get("/admin/organizations/{id}/owner", access=ADMINISTRATION)
async def owner_form(page: PageRequest) -> Response:
    """Ask which member shall become the owner of an organization without an owner."""
    page.id("id")
    return page.show("admin_owner.html", organization_id=page.id("id"))


@pages.post("/admin/organizations/{id}/owner", access=ADMINISTRATION, again=owner_form)
async def hand_over(page: PageRequest) -> Response:
    """Make a member the owner."""
    call = page.call
    email = page.form.text("email", max_length=MAX_EMAIL)
    reason = page.form.text("reason", max_length=MAX_REASON)
    consume = await proved(page)
    user = await call.runtime.administration.find_by_email(email)
    await call.runtime.administer_accounts.hand_over(
        page.id("id"), user_id=user.id, reason=reason, consume=consume, context=call.context
    )
    return page.redirect("/admin/organizations", done="organization_handed_over")
