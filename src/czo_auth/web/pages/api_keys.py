"""API keys: created and shown once, listed by prefix, narrowed, rotated, revoked."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from czo_auth.core.access import ACCOUNT
from czo_auth.core.api_keys.addresses import LONGEST_ADDRESS, MOST_ADDRESSES
from czo_auth.core.api_keys.rate_limit import RateLimitWish
from czo_auth.core.flows.api_keys.manage import ApiKeyChanges, CreatedApiKey, NewApiKey
from czo_auth.web.forms import Form
from czo_auth.web.routing import Pages, Visit

pages = Pages()
EXPIRY_DAYS = (7, 30, 90, 365)
OVERLAP_SECONDS = (0, 3600, 86400)
RATE_WINDOWS = (1, 60, 3600, 86400)
_LONGEST_SCOPES = 64 * 131
_LONGEST_ALLOW_LIST = 4 * MOST_ADDRESSES * (LONGEST_ADDRESS + 1)


@pages.get("/api-keys", access=ACCOUNT)
async def list_keys(visit: Visit) -> Response:
    """The keys by prefix."""
    call = visit.admitted
    keys = await call.runtime.api_keys.list(call.principal, organization_id=None, now=call.now)
    return visit.show("api_keys.html", keys=keys, organizations=await _organization_names(visit))


@pages.get("/api-keys/new", access=ACCOUNT)
async def new_form(visit: Visit) -> Response:
    """Ask for name, scopes, expiry and organization."""
    return visit.show(
        "api_key_new.html",
        organizations=await _organization_names(visit),
        expiry_days=EXPIRY_DAYS,
        windows=RATE_WINDOWS,
    )


@pages.post("/api-keys/new", access=ACCOUNT, again=new_form)
async def create(visit: Visit) -> Response:
    """Create a key and show it this once."""
    call, form = visit.admitted, visit.form
    days = form.number("expires")
    new = NewApiKey(
        name=form.text("name"),
        organization_id=form.optional("organization", most=64),
        expires_in=timedelta(days=min(days, 100_000)) if days else None,
        scopes=_words(form.optional("scopes", most=_LONGEST_SCOPES)),
        allowed_ips=_allow_list(form),
        rate_limit=_rate_limit(form),
    )
    return _shown_once(
        visit,
        await call.runtime.api_keys.create(call.principal, new, provenance=call.provenance, now=call.now),
    )


@pages.get("/api-keys/{id}", access=ACCOUNT)
async def one_key(visit: Visit) -> Response:
    """One key and what can be done with it."""
    call = visit.admitted
    key = await call.runtime.api_keys.get(call.principal, visit.id("id"))
    return visit.show(
        "api_key.html",
        key=key,
        organizations=await _organization_names(visit),
        overlaps=OVERLAP_SECONDS,
        windows=RATE_WINDOWS,
    )


@pages.post("/api-keys/{id}", access=ACCOUNT, again=one_key)
async def change(visit: Visit) -> Response:
    """Rename, switch off or on, take scopes away, or tighten the limits."""
    call, form = visit.admitted, visit.form
    changes = ApiKeyChanges(
        given=frozenset({"name", "enabled", "scopes", "allowed_ips"}),
        name=form.text("name"),
        enabled="enabled" in form,
        scopes=form.all("scope"),
        allowed_ips=_allow_list(form),
        rate_limit=_rate_limit(form),
    )
    await call.runtime.api_keys.change(
        call.principal, visit.id("id"), changes, provenance=call.provenance, now=call.now
    )
    return visit.go(f"/api-keys/{visit.id('id')}", done="key_changed")


@pages.post("/api-keys/{id}/rotate", access=ACCOUNT, again=one_key)
async def rotate(visit: Visit) -> Response:
    """Give a key a successor and show that this once."""
    call = visit.admitted
    rotated = await call.runtime.api_keys.rotate(
        call.principal,
        visit.id("id"),
        overlap=timedelta(seconds=min(visit.form.number("overlap"), 10**6)),
        provenance=call.provenance,
        now=call.now,
    )
    return _shown_once(visit, rotated)


@pages.post("/api-keys/{id}/revoke", access=ACCOUNT, again=one_key)
async def revoke(visit: Visit) -> Response:
    """End a key for good."""
    call = visit.admitted
    await call.runtime.api_keys.revoke(
        call.principal, visit.id("id"), provenance=call.provenance, now=call.now
    )
    return visit.go("/api-keys", done="key_revoked")


def _shown_once(visit: Visit, created: CreatedApiKey) -> Response:
    return visit.show("api_key_shown.html", key=created.api_key, secret=created.key)


async def _organization_names(visit: Visit) -> dict[str, str]:
    call = visit.admitted
    found = await call.runtime.organizations.list(call.principal)
    return {organization.id: organization.name for organization, _ in found}


def _allow_list(form: Form) -> tuple[str, ...] | None:
    """Read the allow-list; an empty field is none."""
    return _words(form.optional("allowed_ips", most=_LONGEST_ALLOW_LIST)) or None


def _rate_limit(form: Form) -> RateLimitWish:
    """Read the rate limit; an empty field is none, so that emptying it is refused where there is one."""
    if form.optional("rate_max") is None:
        return RateLimitWish(enabled=False)
    window_ms = form.number("rate_window", default=60) * 1000
    return RateLimitWish(requests=form.number("rate_max"), window_ms=window_ms)


def _words(text: str | None) -> tuple[str, ...]:
    return tuple((text or "").replace(",", " ").split())
