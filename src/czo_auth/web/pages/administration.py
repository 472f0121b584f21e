"""Administration: the policy overview, users and their keys."""

from __future__ import annotations

from functools import partial

from starlette.responses import Response

from czo_auth.core.access import ADMINISTRATION
from czo_auth.core.errors import NotFound
from czo_auth.core.flows.administration.search_api_keys import search_api_keys
from czo_auth.core.flows.administration.user_overview import user_overview
from czo_auth.core.flows.two_factor.proofs import ConsumeProof
from czo_auth.core.limits import MAX_ID, MAX_REASON, MAX_SEARCH
from czo_auth.core.paging import PageQuery
from czo_auth.core.users.status import USER_STATUSES
from czo_auth.core.users.store import UserFilter
from czo_auth.core.users.user import User
from czo_auth.web.addresses import is_own_page
from czo_auth.web.pages.api_keys import unused_since
from czo_auth.web.pages.confirmation import Question, confirmation
from czo_auth.web.routing import PageRequest, Pages

pages = Pages()
PAGE = 30
USER_FILTERS = ("search", "status", "actor", "two_factor")
KEY_FILTERS = ("search", "unused")


@pages.get("/admin", access=ADMINISTRATION)
async def policy(page: PageRequest) -> Response:
    """Show which actor types require a second factor, who has one, and the pending resets."""
    runtime = page.call.runtime
    resets = await runtime.recovery.list_waiting(PageQuery(limit=PAGE))
    return page.show(
        "admin_policy.html",
        coverage=await runtime.administration.policy_overview(),
        resets=[(reset, await runtime.administration.get(reset.user_id)) for reset in resets.items],
        more_resets=resets.total - len(resets.items),
    )


@pages.get("/admin/users", access=ADMINISTRATION)
async def users(page: PageRequest) -> Response:
    """List users page by page."""
    return await page.show_list(
        "admin_users.html",
        partial(_users, page),
        filters=USER_FILTERS,
        statuses=USER_STATUSES,
        actors=[actor.name for actor in page.call.runtime.services.actors],
        fetches=True,
    )


async def _users(page: PageRequest) -> dict[str, object]:
    query = page.query
    matching = UserFilter(
        text=query.optional("search", max_length=MAX_SEARCH),
        status=query.choice("status", USER_STATUSES),
        actor_type=query.optional("actor", max_length=MAX_ID),
        two_factor={"on": True, "off": False, None: None}[query.choice("two_factor", ("on", "off"))],
    )
    found = await page.call.runtime.administration.search(matching, page=page.page_query(PAGE))
    here = page.filters(*USER_FILTERS, "cursor", "before")
    return {
        "page": found,
        "filters": page.filters(*USER_FILTERS),
        "here": f"/admin/users?{here}" if here else "",
    }


@pages.get("/admin/api-keys", access=ADMINISTRATION)
async def api_keys(page: PageRequest) -> Response:
    """List the API keys of all users page by page."""
    return await page.show_list(
        "admin_api_keys.html", partial(_api_keys, page), filters=KEY_FILTERS, fetches=True
    )


async def _api_keys(page: PageRequest) -> dict[str, object]:
    call = page.call
    shown_page = await search_api_keys(
        call.runtime.services,
        text=page.query.optional("search", max_length=MAX_SEARCH),
        unused_since=unused_since(page),
        page=page.page_query(PAGE),
        now=call.now,
    )
    return {"page": shown_page, "filters": page.filters(*KEY_FILTERS)}


@pages.post("/admin/api-keys/{id}/revoke", access=ADMINISTRATION, again=api_keys)
async def revoke_found_key(page: PageRequest) -> Response:
    """Revoke a key from the list of all keys."""
    call = page.call
    await call.runtime.administration.revoke_api_key(page.id("id"), context=call.context)
    return page.redirect("/admin/api-keys", done="key_revoked")


@pages.get("/admin/users/{id}", access=ADMINISTRATION)
async def one_user(page: PageRequest) -> Response:
    """Show one user with their second factors and API keys."""
    call = page.call
    user = await call.runtime.administration.get(page.id("id"))
    reset = await call.runtime.recovery.find(user.id)
    return page.show(
        "admin_user.html",
        user=user,
        back=came_from(page),
        overview=await user_overview(call.runtime.services, user.email, now=call.now),
        keys=await call.runtime.administration.list_api_keys(user.id, page=page.page_query(), now=call.now),
        reset=reset,
        asker=None if reset is None else await _find_requester(page, reset.asked_by),
        sessions=await call.runtime.administer_accounts.list_sessions(user.id, now=call.now),
        waits=bool(call.runtime.services.policies.two_factor.reset_wait),
        actors=list(call.runtime.services.actors),
        default_actor=call.runtime.services.actors.default.name,
    )


def came_from(page: PageRequest) -> str:
    """Return the query of the list from which the user was opened; empty for the whole list."""
    wanted = page.query.raw("back")
    return wanted if is_own_page(wanted) and wanted.startswith("/admin/users?") else ""


def to_user(page: PageRequest, *, done: str) -> Response:
    """Redirect to the user of a form, and keep the link back to the list."""
    back = came_from(page)
    return page.redirect(f"/admin/users/{page.id('id')}", done=done, **({"back": back} if back else {}))


@pages.post("/admin/users/{id}/ban", access=ADMINISTRATION, again=one_user)
async def ban(page: PageRequest) -> Response:
    """Ban a user. All their credentials end immediately."""
    call = page.call
    reason = page.form.text("reason", max_length=MAX_REASON)
    asked = await confirmation(page, "ban", page.id("id"))
    if asked is not None:
        return asked
    await call.runtime.administration.ban(page.id("id"), reason=reason, context=call.context)
    return to_user(page, done="user_banned")


@pages.post("/admin/users/{id}/unban", access=ADMINISTRATION, again=one_user)
async def unban(page: PageRequest) -> Response:
    """Lift a ban."""
    call = page.call
    await call.runtime.administration.unban(page.id("id"), context=call.context)
    return to_user(page, done="user_unbanned")


@pages.post("/admin/users/{id}/reset-two-factor", access=ADMINISTRATION, again=one_user)
async def reset_two_factor(page: PageRequest) -> Response:
    """Remove the second factors of a user who lost all of them."""
    call = page.call
    reason = page.form.text("reset_reason", max_length=MAX_REASON)
    consume = await proved(page)
    asked = await confirmation(page, "reset", page.id("id"))
    if asked is not None:
        return asked
    waits = await call.runtime.recovery.ask(
        page.id("id"), reason=reason, consume=consume, context=call.context
    )
    done = "two_factor_reset" if waits is None else "reset_asked"
    return to_user(page, done=done)


@pages.post("/admin/users/{id}/cancel-reset", access=ADMINISTRATION, again=one_user)
async def cancel_reset(page: PageRequest) -> Response:
    """Cancel the pending reset of a user."""
    call = page.call
    await call.runtime.recovery.cancel(page.id("id"), context=call.context)
    return to_user(page, done="reset_cancelled")


@pages.post("/admin/users/{id}/actor-types", access=ADMINISTRATION, again=one_user)
async def change_actor_types(page: PageRequest) -> Response:
    """Add and remove actor types, effective at the next request."""
    call = page.call
    actors = call.runtime.services.actors
    kept = {*page.form.all("actor"), actors.default.name}
    consume = await proved(page)
    question = await _question_about(page, kept)
    asked = None if question is None else await confirmation(page, question, page.id("id"))
    if asked is not None:
        return asked
    await call.runtime.administration.change_actor_types(
        page.id("id"),
        add=sorted(kept),
        remove=[actor.name for actor in actors if actor.name not in kept],
        consume=consume,
        context=call.context,
    )
    return to_user(page, done="actor_types_changed")


@pages.post("/admin/users/{id}/api-keys/{key}/revoke", access=ADMINISTRATION, again=one_user)
async def revoke_key(page: PageRequest) -> Response:
    """Revoke a key of any user."""
    call = page.call
    await call.runtime.administration.revoke_api_key(page.id("key"), context=call.context)
    return to_user(page, done="key_revoked")


async def _question_about(page: PageRequest, kept: set[str]) -> Question | None:
    """Return the confirmation that is required before a user becomes an administrator or stops being one."""
    runtime = page.call.runtime
    user = await runtime.administration.get(page.id("id"))
    administering = {actor.name for actor in runtime.services.actors if actor.administers}
    if administering & (kept - set(user.actor_types)):
        return "grant"
    if administering & (set(user.actor_types) - kept):
        return "take"
    return None


async def _find_requester(page: PageRequest, user_id: str) -> User | None:
    """Return the administrator who requested a reset; None if they were deleted since."""
    try:
        return await page.call.runtime.administration.get(user_id)
    except NotFound:
        return None


async def proved(page: PageRequest) -> ConsumeProof:
    """
    Return the administrator's recent proof, to be consumed.

    Raises:
        ReauthenticationRequired: There is none.
    """
    call = page.call
    return await call.runtime.administer_accounts.prove(password=None, code=None, context=call.context)
