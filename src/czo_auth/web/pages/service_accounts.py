"""Service accounts of an organization: list, create, change, disable, delete, and their keys."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from czo_auth.core.access import ACCOUNT
from czo_auth.core.flows.api_keys.new_key import NewApiKey
from czo_auth.core.flows.service_accounts.manage import NewServiceAccount, ServiceAccountChanges
from czo_auth.core.limits import MAX_DESCRIPTION
from czo_auth.web.pages.api_keys import EXPIRY_DAYS, MAX_SCOPES_LENGTH, OVERLAP_SECONDS
from czo_auth.web.pages.idempotent_forms import Done, Secret, run_idempotent
from czo_auth.web.pages.organization_keys import shown_key
from czo_auth.web.routing import PageRequest, Pages

pages = Pages()
ACCOUNTS = "/organizations/{id}/service-accounts"
ACCOUNT_PAGE = ACCOUNTS + "/{account}"


@pages.get(ACCOUNTS, access=ACCOUNT)
async def list_accounts(page: PageRequest) -> Response:
    """List the service accounts, with a form to create one."""
    call, organization_id = page.call, page.id("id")
    seen = await call.runtime.manage_organizations.get(organization_id, context=call.context)
    found = await call.runtime.manage_service_accounts.list(
        organization_id, page.page_query(), context=call.context
    )
    return page.show(
        "service_accounts.html",
        organization=seen.organization,
        page=found,
        proved=await call.runtime.reauthentication.is_recent(context=call.context),
    )


@pages.post(ACCOUNTS, access=ACCOUNT, again=list_accounts)
async def create(page: PageRequest) -> Response:
    """Create a service account."""
    call, organization_id = page.call, page.id("id")
    new = NewServiceAccount(
        name=page.form.text("name"),
        description=page.form.optional("description", max_length=MAX_DESCRIPTION),
        scopes=page.form.words("scopes", max_length=MAX_SCOPES_LENGTH),
    )

    async def make() -> Done:
        created = await call.runtime.manage_service_accounts.create(
            organization_id, new, context=call.context
        )
        return Done(path=_address(organization_id, created.id), notice="service_account_created")

    return await run_idempotent(page, make)


@pages.get(ACCOUNT_PAGE, access=ACCOUNT)
async def one_account(page: PageRequest) -> Response:
    """Show one service account with its keys and the forms to change it."""
    call, organization_id, account_id = page.call, page.id("id"), page.id("account")
    seen = await call.runtime.manage_organizations.get(organization_id, context=call.context)
    account = await call.runtime.manage_service_accounts.get(
        organization_id, account_id, context=call.context
    )
    keys = await call.runtime.organization_keys.list_of_account(
        organization_id, account_id, page.page_query(), context=call.context
    )
    return page.show(
        "service_account.html",
        organization=seen.organization,
        account=account,
        page=keys,
        expiry_days=EXPIRY_DAYS,
        overlaps=OVERLAP_SECONDS,
        proved=await call.runtime.reauthentication.is_recent(context=call.context),
    )


@pages.post(ACCOUNT_PAGE, access=ACCOUNT, again=one_account)
async def change(page: PageRequest) -> Response:
    """Change the name, description and scopes."""
    changes = ServiceAccountChanges(
        given=frozenset({"name", "description", "scopes"}),
        name=page.form.text("name"),
        description=page.form.optional("description", max_length=MAX_DESCRIPTION),
        scopes=page.form.words("scopes", max_length=MAX_SCOPES_LENGTH),
    )
    return await _change(page, changes, done="service_account_changed")


@pages.post(f"{ACCOUNT_PAGE}/enable", access=ACCOUNT, again=one_account)
async def enable(page: PageRequest) -> Response:
    """Enable a service account: its keys are accepted again."""
    changes = ServiceAccountChanges(given=frozenset({"enabled"}), enabled=True)
    return await _change(page, changes, done="service_account_enabled")


@pages.post(f"{ACCOUNT_PAGE}/disable", access=ACCOUNT, again=one_account)
async def disable(page: PageRequest) -> Response:
    """Disable a service account: its keys are refused."""
    changes = ServiceAccountChanges(given=frozenset({"enabled"}), enabled=False)
    return await _change(page, changes, done="service_account_disabled")


@pages.post(f"{ACCOUNT_PAGE}/delete", access=ACCOUNT, again=one_account)
async def delete(page: PageRequest) -> Response:
    """Delete a service account with its keys."""
    call, organization_id = page.call, page.id("id")
    await call.runtime.manage_service_accounts.delete(
        organization_id, page.id("account"), context=call.context
    )
    return page.redirect(f"/organizations/{organization_id}/service-accounts", done="service_account_deleted")


@pages.post(f"{ACCOUNT_PAGE}/keys", access=ACCOUNT, again=one_account)
async def create_key(page: PageRequest) -> Response:
    """Create a key of a service account, and redirect to the page that shows it."""
    call, form = page.call, page.form
    organization_id, account_id = page.id("id"), page.id("account")
    days = form.number("expires")
    new = NewApiKey(
        name=form.text("key_name"),
        expires_in=timedelta(days=min(days, 100_000)) if days else None,
        scopes=form.all("scope"),
    )

    async def make() -> Secret:
        made = await call.runtime.service_account_keys.create(
            organization_id, account_id, new, context=call.context
        )
        return shown_key(made, back=_address(organization_id, account_id))

    return await run_idempotent(page, make)


async def _change(page: PageRequest, changes: ServiceAccountChanges, *, done: str) -> Response:
    call, organization_id, account_id = page.call, page.id("id"), page.id("account")
    await call.runtime.manage_service_accounts.change(
        organization_id, account_id, changes, context=call.context
    )
    return page.redirect(_address(organization_id, account_id), done=done)


def _address(organization_id: str, account_id: str) -> str:
    return f"/organizations/{organization_id}/service-accounts/{account_id}"
