"""API keys: created and shown for ten minutes, listed by prefix, narrowed, rotated, revoked."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from starlette.responses import Response

from czo_auth.core.access import ACCOUNT
from czo_auth.core.api_keys.quota import QUOTA_PERIODS, QuotaUpdate
from czo_auth.core.api_keys.rate_limit import RateLimitUpdate
from czo_auth.core.errors import ValidationFailed
from czo_auth.core.flows.api_keys.changes import ApiKeyChanges
from czo_auth.core.flows.api_keys.new_key import CreatedApiKey, NewApiKey
from czo_auth.core.flows.api_keys.usage import every_day
from czo_auth.core.limits import (
    MAX_ADDRESS,
    MAX_ADDRESSES,
    MAX_ID,
    MAX_KEY_DAYS,
    MAX_PAGE,
    MAX_SCOPE,
    MAX_SCOPES,
)
from czo_auth.core.paging import PageQuery
from czo_auth.web.forms import Form
from czo_auth.web.pages.idempotent_forms import Secret, run_idempotent
from czo_auth.web.pages.usage_chart import usage_chart
from czo_auth.web.routing import PageRequest, Pages

pages = Pages()
EXPIRY_DAYS = (7, 30, 90, 365)
CHART_DAYS = 30
OVERLAP_SECONDS = (0, 3600, 86400)
RATE_WINDOWS = (1, 60, 3600, 86400)
MAX_SCOPES_LENGTH = MAX_SCOPES * (MAX_SCOPE + 1)
_MAX_ALLOW_LIST_LENGTH = 4 * MAX_ADDRESSES * (MAX_ADDRESS + 1)


@pages.get("/api-keys", access=ACCOUNT)
async def list_keys(page: PageRequest) -> Response:
    """List the keys by prefix."""
    call = page.call
    shown_page = await call.runtime.manage_api_keys.list(
        organization_id=None,
        unused_since=unused_since(page),
        page=page.page_query(),
        context=call.context,
    )
    return page.show("api_keys.html", page=shown_page, organizations=await _organization_names(page))


@pages.get("/api-keys/new", access=ACCOUNT)
async def new_form(page: PageRequest) -> Response:
    """Show the form to create a key."""
    listed, has_others = await page.call.runtime.create_api_keys.offered_scopes(context=page.call.context)
    return page.show(
        "api_key_new.html",
        listed_scopes=listed,
        has_other_scopes=has_others,
        organizations=await _organization_names(page),
        expiry_days=EXPIRY_DAYS,
        windows=RATE_WINDOWS,
        quota_periods=QUOTA_PERIODS,
    )


@pages.post("/api-keys/new", access=ACCOUNT, again=new_form)
async def create(page: PageRequest) -> Response:
    """Create a key, and redirect to the page that shows it."""
    call, form = page.call, page.form
    days = form.number("expires")
    new = NewApiKey(
        name=form.text("name"),
        organization_id=form.optional("organization", max_length=MAX_ID),
        expires_in=timedelta(days=min(days, 100_000)) if days else None,
        scopes=(*form.all("scope"), *form.words("scopes", max_length=MAX_SCOPES_LENGTH)),
        allowed_ips=_allow_list(form),
        rate_limit=_rate_limit(form),
        quota=_quota(form),
    )

    async def make() -> Secret:
        return _shown(await call.runtime.create_api_keys.create(new, context=call.context))

    return await run_idempotent(page, make)


@pages.get("/api-keys/{id}", access=ACCOUNT)
async def one_key(page: PageRequest) -> Response:
    """Show one key and the forms to change it."""
    call = page.call
    key = await call.runtime.manage_api_keys.get(call.caller, page.id("id"))
    first, last = chart_days(page)
    usage = await call.runtime.key_usage.of_own(key.id, first=first, last=last, context=call.context)
    return page.show(
        "api_key.html",
        key=key,
        chart=usage_chart(every_day(usage, last=last, days=CHART_DAYS)),
        quota_periods=QUOTA_PERIODS,
        organizations=await _organization_names(page),
        overlaps=OVERLAP_SECONDS,
        windows=RATE_WINDOWS,
    )


@pages.post("/api-keys/{id}", access=ACCOUNT, again=one_key)
async def change(page: PageRequest) -> Response:
    """Rename a key, switch it off or on, remove scopes, or tighten the limits."""
    call = page.call
    await call.runtime.manage_api_keys.change(page.id("id"), sent_changes(page.form), context=call.context)
    return page.redirect(f"/api-keys/{page.id('id')}", done="key_changed")


@pages.post("/api-keys/{id}/rotate", access=ACCOUNT, again=one_key)
async def rotate(page: PageRequest) -> Response:
    """Rotate a key, and redirect to the page that shows its successor."""
    call, key_id = page.call, page.id("id")
    overlap = timedelta(seconds=min(page.form.number("overlap"), 10**6))

    async def make() -> Secret:
        rotated = await call.runtime.create_api_keys.rotate(key_id, overlap=overlap, context=call.context)
        return _shown(rotated)

    return await run_idempotent(page, make)


@pages.post("/api-keys/{id}/revoke", access=ACCOUNT, again=one_key)
async def revoke(page: PageRequest) -> Response:
    """Revoke a key permanently."""
    call = page.call
    await call.runtime.manage_api_keys.revoke(page.id("id"), context=call.context)
    return page.redirect("/api-keys", done="key_revoked")


def _shown(created: CreatedApiKey) -> Secret:
    key = created.api_key
    values = {
        "name": key.name,
        "prefix": key.prefix,
        "organization": key.organization_id,
        "scopes": list(key.scopes),
        "secret": created.key,
    }
    return Secret(kind="api_key", values=values)


async def _organization_names(page: PageRequest) -> dict[str, str]:
    call = page.call
    found = await call.runtime.manage_organizations.list(call.caller, PageQuery(limit=MAX_PAGE))
    return {organization.id: organization.name for organization, _ in found.items}


def _allow_list(form: Form) -> tuple[str, ...] | None:
    """Read the allow-list; an empty field means none."""
    return form.words("allowed_ips", max_length=_MAX_ALLOW_LIST_LENGTH) or None


def _rate_limit(form: Form) -> RateLimitUpdate:
    """Read the rate limit; an empty field means none, which is refused if the key has one."""
    if form.optional("rate_max") is None:
        return RateLimitUpdate(enabled=False)
    window_ms = form.number("rate_window", default=60) * 1000
    return RateLimitUpdate(requests=form.number("rate_max"), window_ms=window_ms)


def _quota(form: Form) -> QuotaUpdate:
    """Read the quota; an empty field means none."""
    if form.optional("quota_max") is None:
        return QuotaUpdate.removal()
    period = next((each for each in QUOTA_PERIODS if each == form.raw("quota_period")), None)
    if period is None:
        raise ValidationFailed(details=(("quotaPeriod", "This is day or month."),))
    return QuotaUpdate.of(form.number("quota_max"), period)


def chart_days(page: PageRequest) -> tuple[date, date]:
    """Return the first and the last day (UTC) of the chart of a key."""
    last = page.call.now.date()
    return last - timedelta(days=CHART_DAYS - 1), last


def sent_changes(form: Form) -> ApiKeyChanges:
    """Read the changes of a key."""
    return ApiKeyChanges(
        given=frozenset({"name", "enabled", "scopes", "allowed_ips"}),
        name=form.text("name"),
        enabled="enabled" in form,
        scopes=form.all("scope"),
        allowed_ips=_allow_list(form),
        rate_limit=_rate_limit(form),
        quota=_quota(form),
    )


def unused_since(page: PageRequest) -> datetime | None:
    """Read the filter for keys that were not used for some days; None for all keys."""
    days = page.query.number("unused")
    return page.call.now - timedelta(days=min(days, MAX_KEY_DAYS)) if days else None
