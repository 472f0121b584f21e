"""Administration: the policy overview, users and their keys."""

from __future__ import annotations

from starlette.responses import Response

from czo_auth.core.access import ADMINISTRATION
from czo_auth.core.flows.administration.search_api_keys import search_api_keys
from czo_auth.core.flows.administration.user_overview import user_overview
from czo_auth.web.routing import Pages, Visit

pages = Pages()
PAGE = 50
LONGEST_REASON = 500


@pages.get("/admin", access=ADMINISTRATION)
async def policy(visit: Visit) -> Response:
    """Who must have a second factor, and who has; which resets wait."""
    runtime = visit.admitted.runtime
    resets, total = await runtime.recovery.list_waiting(limit=PAGE)
    return visit.show(
        "admin_policy.html",
        coverage=await runtime.administer.policy_overview(),
        resets=[(reset, await runtime.administer.get(reset.user_id)) for reset in resets],
        more_resets=total - len(resets),
    )


@pages.get("/admin/users", access=ADMINISTRATION)
async def users(visit: Visit) -> Response:
    """Users, some at a time."""
    found = await visit.admitted.runtime.administer.search(
        text=visit.query.optional("search", most=254),
        cursor=visit.query.optional("cursor", most=64),
        limit=PAGE,
    )
    return visit.show("admin_users.html", page=found, fetches=True)


@pages.get("/admin/api-keys", access=ADMINISTRATION)
async def api_keys(visit: Visit) -> Response:
    """Everybody's API keys, some at a time."""
    call = visit.admitted
    page = await search_api_keys(
        call.runtime.services,
        text=visit.query.optional("search", most=254),
        cursor=visit.query.optional("cursor", most=64),
        limit=PAGE,
        now=call.now,
    )
    return visit.show("admin_api_keys.html", page=page, fetches=True)


@pages.post("/admin/api-keys/{id}/revoke", access=ADMINISTRATION, again=api_keys)
async def revoke_found_key(visit: Visit) -> Response:
    """End a key from the list of everybody's."""
    call = visit.admitted
    await call.runtime.administer.revoke_api_key(visit.id("id"), provenance=call.provenance, now=call.now)
    return visit.go("/admin/api-keys", done="key_revoked")


@pages.get("/admin/users/{id}", access=ADMINISTRATION)
async def one_user(visit: Visit) -> Response:
    """One user, what protects them, and their keys."""
    call = visit.admitted
    user = await call.runtime.administer.get(visit.id("id"))
    reset = await call.runtime.recovery.find(user.id)
    return visit.show(
        "admin_user.html",
        user=user,
        overview=await user_overview(call.runtime.services, user.email, now=call.now),
        keys=await call.runtime.administer.list_api_keys(user.id, now=call.now),
        reset=reset,
        asker=None if reset is None else await call.runtime.administer.get(reset.asked_by),
        waits=bool(call.runtime.services.policies.two_factor.reset_wait),
        actors=list(call.runtime.services.actors),
        default_actor=call.runtime.services.actors.default.name,
    )


@pages.post("/admin/users/{id}/ban", access=ADMINISTRATION, again=one_user)
async def ban(visit: Visit) -> Response:
    """Ban a user: everything they hold ends at once."""
    call = visit.admitted
    reason = visit.form.text("reason", most=LONGEST_REASON)
    await call.runtime.administer.ban(visit.id("id"), reason=reason, provenance=call.provenance, now=call.now)
    return visit.go(f"/admin/users/{visit.id('id')}", done="user_banned")


@pages.post("/admin/users/{id}/unban", access=ADMINISTRATION, again=one_user)
async def unban(visit: Visit) -> Response:
    """Lift a ban."""
    call = visit.admitted
    await call.runtime.administer.unban(visit.id("id"), provenance=call.provenance, now=call.now)
    return visit.go(f"/admin/users/{visit.id('id')}", done="user_unbanned")


@pages.post("/admin/users/{id}/reset-two-factor", access=ADMINISTRATION, again=one_user)
async def reset_two_factor(visit: Visit) -> Response:
    """Remove the second factor of a user who lost everything."""
    call = visit.admitted
    reason = visit.form.text("reset_reason", most=LONGEST_REASON)
    waits = await call.runtime.recovery.ask(
        call.principal, visit.id("id"), reason=reason, provenance=call.provenance, now=call.now
    )
    done = "two_factor_reset" if waits is None else "reset_asked"
    return visit.go(f"/admin/users/{visit.id('id')}", done=done)


@pages.post("/admin/users/{id}/cancel-reset", access=ADMINISTRATION, again=one_user)
async def cancel_reset(visit: Visit) -> Response:
    """Cancel the reset that waits for a user."""
    call = visit.admitted
    await call.runtime.recovery.cancel(visit.id("id"), provenance=call.provenance, now=call.now)
    return visit.go(f"/admin/users/{visit.id('id')}", done="reset_cancelled")


@pages.post("/admin/users/{id}/actor-types", access=ADMINISTRATION, again=one_user)
async def change_actor_types(visit: Visit) -> Response:
    """Give and take actor types, effective at the next request."""
    call = visit.admitted
    actors = call.runtime.services.actors
    kept = {*visit.form.all("actor"), actors.default.name}
    await call.runtime.administer.change_actor_types(
        visit.id("id"),
        add=sorted(kept),
        remove=[actor.name for actor in actors if actor.name not in kept],
        provenance=call.provenance,
        now=call.now,
    )
    return visit.go(f"/admin/users/{visit.id('id')}", done="actor_types_changed")


@pages.post("/admin/users/{id}/api-keys/{key}/revoke", access=ADMINISTRATION, again=one_user)
async def revoke_key(visit: Visit) -> Response:
    """End anybody's key."""
    call = visit.admitted
    await call.runtime.administer.revoke_api_key(visit.id("key"), provenance=call.provenance, now=call.now)
    return visit.go(f"/admin/users/{visit.id('id')}", done="key_revoked")
