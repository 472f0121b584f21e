"""Webhook endpoints of administrators and of an organization's owners: list, deliveries, test, replay."""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from starlette.responses import Response

from czo_auth.core.access import ACCOUNT, ADMINISTRATION
from czo_auth.core.errors import ValidationFailed
from czo_auth.core.events.types import EVENT_TYPES
from czo_auth.core.flows.webhooks.input import NewWebhook, WebhookChanges
from czo_auth.core.limits import MAX_DESCRIPTION, MAX_WEBHOOK_PATTERNS_TEXT, MAX_WEBHOOK_URL
from czo_auth.core.paging import PageQuery
from czo_auth.core.webhooks.webhook import DELIVERY_STATUSES, ORGANIZATION_FAMILIES, Webhook, family_of
from czo_auth.translations import Translations
from czo_auth.web.pages.idempotent_forms import Area, Done, Secret, run_idempotent
from czo_auth.web.routing import PageRequest, Pages

pages = Pages()
PAGE = 30
_FAILURES: Final = tuple(
    (re.compile(pattern), f"webhooks.failed_{key}")
    for pattern, key in (
        (r"the name is not known", "unknown_name"),
        (r"no connection", "no_connection"),
        (r"the connection failed \((?P<detail>\w+)\)", "connection_failed"),
        (r"the name leads to no address that is reachable from everywhere", "no_public_address"),
        (r"no answer within (?P<detail>[0-9.]+) s", "no_answer"),
        (r"the event is no longer kept", "event_gone"),
        (r"the secret cannot be read", "unreadable_secret"),
    )
)
"""What is stored about a failed attempt, in English for the API, and the text of the page."""


async def list_webhooks(page: PageRequest) -> Response:
    """List the endpoints, with a form to create one."""
    call, organization_id = page.call, _organization_id(page)
    found = await call.runtime.webhooks.list(organization_id, context=call.context)
    families = _families(organization_id)
    return page.show(
        "webhooks.html", http_status=200, webhooks=found.items, families=families, **await _around(page)
    )


async def create(page: PageRequest) -> Response:
    """Create an endpoint, and redirect to the page that shows its secret."""
    call, organization_id = page.call, _organization_id(page)
    new = NewWebhook(
        url=page.form.text("url", max_length=MAX_WEBHOOK_URL),
        events=page.form.words("events", max_length=MAX_WEBHOOK_PATTERNS_TEXT),
        description=page.form.optional("description", max_length=MAX_DESCRIPTION),
    )

    async def make() -> Secret:
        created = await call.runtime.webhooks.create(organization_id, new, context=call.context)
        return _shown(page, created.webhook, created.secret)

    return await run_idempotent(page, make, area=_area(page))


async def one_webhook(page: PageRequest) -> Response:
    """Show one endpoint with its deliveries."""
    call, organization_id, webhook_id = page.call, _organization_id(page), page.id("webhook")
    return await page.show_list(
        "webhook.html",
        partial(_deliveries, page),
        filters=("status",),
        webhook=await call.runtime.webhooks.get(organization_id, webhook_id, context=call.context),
        statuses=DELIVERY_STATUSES,
        families=_families(organization_id),
        explain_failure=partial(explain_failure, page.translations),
        **await _around(page),
    )


async def _deliveries(page: PageRequest) -> dict[str, object]:
    call = page.call
    log = await call.runtime.webhooks.deliveries(
        _organization_id(page),
        page.id("webhook"),
        context=call.context,
        status=page.query.choice("status", DELIVERY_STATUSES),
        query=PageQuery(limit=PAGE, cursor=page.query.optional("cursor", max_length=18)),
    )
    return {"log": log}


async def change(page: PageRequest) -> Response:
    """Change the address, events and description."""
    changes = WebhookChanges(
        given=frozenset({"url", "events", "description"}),
        url=page.form.text("url", max_length=MAX_WEBHOOK_URL),
        events=page.form.words("events", max_length=MAX_WEBHOOK_PATTERNS_TEXT),
        description=page.form.optional("description", max_length=MAX_DESCRIPTION),
    )
    return await _change(page, changes, done="webhook_changed")


async def switch_on(page: PageRequest) -> Response:
    """Switch an endpoint on."""
    changes = WebhookChanges(given=frozenset({"enabled"}), enabled=True)
    return await _change(page, changes, done="webhook_enabled")


async def switch_off(page: PageRequest) -> Response:
    """Switch an endpoint off."""
    changes = WebhookChanges(given=frozenset({"enabled"}), enabled=False)
    return await _change(page, changes, done="webhook_disabled")


async def delete(page: PageRequest) -> Response:
    """Delete an endpoint with its deliveries."""
    call = page.call
    await call.runtime.webhooks.delete(_organization_id(page), page.id("webhook"), context=call.context)
    return page.redirect(_base(page), done="webhook_deleted")


async def rotate(page: PageRequest) -> Response:
    """Create a new secret, and redirect to the page that shows it."""
    call, organization_id, webhook_id = page.call, _organization_id(page), page.id("webhook")
    webhook = await call.runtime.webhooks.get(organization_id, webhook_id, context=call.context)

    async def make() -> Secret:
        secret = await call.runtime.webhooks.rotate_secret(organization_id, webhook_id, context=call.context)
        return _shown(page, webhook, secret)

    return await run_idempotent(page, make, area=_area(page))


async def send_test(page: PageRequest) -> Response:
    """Send a test event."""
    call, organization_id, webhook_id = page.call, _organization_id(page), page.id("webhook")

    async def send() -> Done:
        await call.runtime.webhooks.test(organization_id, webhook_id, context=call.context)
        return Done(path=f"{_base(page)}/{webhook_id}", notice="webhook_tested")

    return await run_idempotent(page, send)


async def replay(page: PageRequest) -> Response:
    """Send one delivery again, or all events since a time."""
    call, organization_id, webhook_id = page.call, _organization_id(page), page.id("webhook")
    delivery_id = page.form.optional("delivery", max_length=36)
    since = None if delivery_id is not None else page.form.moment("since")
    if delivery_id is None and since is None:
        raise ValidationFailed(details=(("since", "This must not be blank."),))

    async def send() -> Done:
        await call.runtime.webhooks.replay(
            organization_id, webhook_id, since=since, delivery_id=delivery_id, context=call.context
        )
        return Done(path=f"{_base(page)}/{webhook_id}", notice="webhook_replayed")

    return await run_idempotent(page, send)


for _path, _access in (("/admin/webhooks", ADMINISTRATION), ("/organizations/{id}/webhooks", ACCOUNT)):
    pages.get(_path, access=_access)(list_webhooks)
    pages.post(_path, access=_access, again=list_webhooks)(create)
    _one = f"{_path}/{{webhook}}"
    pages.get(_one, access=_access)(one_webhook)
    for _what, _act in (
        ("change", change),
        ("enable", switch_on),
        ("disable", switch_off),
        ("delete", delete),
        ("secret", rotate),
        ("test", send_test),
        ("replay", replay),
    ):
        pages.post(f"{_one}/{_what}", access=_access, again=one_webhook)(_act)


def _organization_id(page: PageRequest) -> str | None:
    return page.id("id") if "id" in page.request.path_params else None


def _base(page: PageRequest) -> str:
    organization_id = _organization_id(page)
    return "/admin/webhooks" if organization_id is None else f"/organizations/{organization_id}/webhooks"


def _area(page: PageRequest) -> Area:
    return "/admin/shown" if _organization_id(page) is None else "/shown"


def _shown(page: PageRequest, webhook: Webhook, secret: str) -> Secret:
    values = {
        "id": webhook.id,
        "organization": _organization_id(page),
        "name": webhook.description or webhook.url,
        "back": f"{_base(page)}/{webhook.id}",
        "secret": secret,
    }
    return Secret(kind="webhook", values=values)


def _families(organization_id: str | None) -> list[str]:
    """Return the groups of events that an endpoint may receive."""
    known = {family_of(each) for each in EVENT_TYPES}
    shown = known if organization_id is None else known & ORGANIZATION_FAMILIES
    return [f"auth.{family}.*" for family in sorted(shown)]


def explain_failure(translations: Translations, stored: str) -> str | None:
    """Return what went wrong with an attempt; None if it is the status, which the page shows anyway."""
    if re.fullmatch(r"answered [0-9]{3}", stored):
        return None
    for pattern, key in _FAILURES:
        if found := pattern.fullmatch(stored):
            return translations(key, **found.groupdict())
    return stored


async def _around(page: PageRequest) -> dict[str, object]:
    """Return what all these pages show: the owner of the endpoints, and whether recent proof is missing."""
    call, organization_id = page.call, _organization_id(page)
    organization = None
    if organization_id is not None:
        seen = await call.runtime.manage_organizations.get(organization_id, context=call.context)
        organization = seen.organization
    return {
        "here": _base(page),
        "organization": organization,
        "proved": await call.runtime.reauthentication.is_recent(context=call.context),
    }


async def _change(page: PageRequest, changes: WebhookChanges, *, done: str) -> Response:
    call = page.call
    await call.runtime.webhooks.update(
        _organization_id(page), page.id("webhook"), changes, context=call.context
    )
    return page.redirect(f"{_base(page)}/{page.id('webhook')}", done=done)
