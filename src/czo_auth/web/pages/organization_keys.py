"""The keys that act in an organization: list, change, revoke, rotate, transfer; keys that end with a member."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from czo_auth.core.access import ACCOUNT
from czo_auth.core.api_keys.quota import QUOTA_PERIODS
from czo_auth.core.api_keys.store import KeyFilter
from czo_auth.core.flows.api_keys.new_key import CreatedApiKey
from czo_auth.core.flows.api_keys.usage import every_day
from czo_auth.core.limits import MAX_ID, MAX_SERVICE_ACCOUNTS
from czo_auth.core.paging import PageQuery
from czo_auth.web.pages.api_keys import (
    CHART_DAYS,
    OVERLAP_SECONDS,
    RATE_WINDOWS,
    chart_days,
    sent_changes,
    unused_since,
)
from czo_auth.web.pages.idempotent_forms import Secret, run_idempotent
from czo_auth.web.pages.usage_chart import usage_chart
from czo_auth.web.routing import PageRequest, Pages

pages = Pages()
KEYS = "/organizations/{id}/api-keys"
KEY = KEYS + "/{key}"


@pages.get(KEYS, access=ACCOUNT)
async def list_keys(page: PageRequest) -> Response:
    """List the keys of members and service accounts, by prefix."""
    call, organization_id = page.call, page.id("id")
    seen = await call.runtime.manage_organizations.get(organization_id, context=call.context)
    wanted = KeyFilter(
        owner=page.query.optional("owner", max_length=MAX_ID),
        created_by=page.query.optional("createdBy", max_length=MAX_ID),
        unused_since=unused_since(page),
    )
    found = await call.runtime.organization_keys.list(
        organization_id, wanted, page.page_query(), context=call.context
    )
    accounts = await call.runtime.manage_service_accounts.list(
        organization_id, PageQuery(limit=MAX_SERVICE_ACCOUNTS), context=call.context
    )
    return page.show(
        "organization_keys.html",
        organization=seen.organization,
        page=found,
        filters=page.filters("createdBy", "owner", "unused"),
        accounts=accounts.items,
        overlaps=OVERLAP_SECONDS,
        proved=await call.runtime.reauthentication.is_recent(context=call.context),
    )


@pages.get(KEY, access=ACCOUNT)
async def one_key(page: PageRequest) -> Response:
    """Show one key that acts in the organization: its uses and, for a service account's key, the forms to change it."""
    call, organization_id = page.call, page.id("id")
    seen = await call.runtime.manage_organizations.get(organization_id, context=call.context)
    key = await call.runtime.organization_keys.get(organization_id, page.id("key"), context=call.context)
    account = None
    if key.service_account_id is not None:
        account = await call.runtime.manage_service_accounts.get(
            organization_id, key.service_account_id, context=call.context
        )
    first, last = chart_days(page)
    usage = await call.runtime.key_usage.of_any(key.id, first=first, last=last, now=call.now)
    return page.show(
        "organization_key.html",
        organization=seen.organization,
        organizations={seen.organization.id: seen.organization.name},
        account=account,
        key=key,
        chart=usage_chart(every_day(usage, last=last, days=CHART_DAYS)),
        quota_periods=QUOTA_PERIODS,
        windows=RATE_WINDOWS,
    )


@pages.post(KEY, access=ACCOUNT, again=one_key)
async def change(page: PageRequest) -> Response:
    """Rename a service account's key, switch it off or on, remove scopes, or tighten its limits."""
    call, organization_id, key_id = page.call, page.id("id"), page.id("key")
    here = f"/organizations/{organization_id}/api-keys/{key_id}"
    await call.runtime.change_service_account_keys.change(
        organization_id, key_id, sent_changes(page.form), context=call.context
    )
    return page.redirect(here, done="key_changed")


@pages.post(f"{KEY}/revoke", access=ACCOUNT, again=list_keys)
async def revoke(page: PageRequest) -> Response:
    """Revoke a key permanently."""
    call, organization_id = page.call, page.id("id")
    await call.runtime.organization_keys.revoke(organization_id, page.id("key"), context=call.context)
    return page.redirect(f"/organizations/{organization_id}/api-keys", done="key_revoked")


@pages.post(f"{KEY}/rotate", access=ACCOUNT, again=list_keys)
async def rotate(page: PageRequest) -> Response:
    """Rotate a service account's key, and redirect to the page that shows its successor."""
    call, organization_id, key_id = page.call, page.id("id"), page.id("key")
    overlap = _overlap(page)

    async def make() -> Secret:
        rotated = await call.runtime.service_account_keys.rotate(
            organization_id, key_id, overlap=overlap, context=call.context
        )
        return shown_key(rotated, back=f"/organizations/{organization_id}/api-keys")

    return await run_idempotent(page, make)


@pages.post(f"{KEY}/transfer", access=ACCOUNT, again=list_keys)
async def transfer(page: PageRequest) -> Response:
    """Transfer a member's key to a service account, and redirect to the page that shows the new one."""
    call, organization_id, key_id = page.call, page.id("id"), page.id("key")
    account_id, overlap = page.form.text("account", max_length=MAX_ID), _overlap(page)

    async def make() -> Secret:
        transferred = await call.runtime.organization_keys.transfer(
            organization_id, key_id, account_id, overlap=overlap, context=call.context
        )
        return shown_key(transferred, back=f"/organizations/{organization_id}/api-keys")

    return await run_idempotent(page, make)


@pages.get("/organizations/{id}/members/{user}/remove", access=ACCOUNT)
async def preview_removal(page: PageRequest) -> Response:
    """Show the keys that would end if a member were removed."""
    call, organization_id = page.call, page.id("id")
    seen = await call.runtime.manage_organizations.get(organization_id, context=call.context)
    member, keys = await call.runtime.manage_members.list_keys_that_would_end(
        organization_id, page.id("user"), context=call.context
    )
    return page.show("remove_member.html", organization=seen.organization, member=member, keys=keys)


def shown_key(created: CreatedApiKey, *, back: str) -> Secret:
    """Return the content of the page of a service account's new key; *back* is the page to which it leads."""
    key = created.api_key
    values = {
        "name": key.name,
        "prefix": key.prefix,
        "organization": key.organization_id,
        "account": key.service_account_id,
        "scopes": list(key.scopes),
        "secret": created.key,
        "back": back,
    }
    return Secret(kind="service_account_key", values=values)


def _overlap(page: PageRequest) -> timedelta:
    return timedelta(seconds=min(page.form.number("overlap"), 10**6))
