"""Device approval: enter the code, review the request, approve or deny it."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from czo_auth.core.access import ACCOUNT
from czo_auth.core.devices.user_code import canonical_user_code, shown_user_code
from czo_auth.core.errors import ReauthenticationRequired
from czo_auth.core.limits import MAX_CODE, MAX_PAGE
from czo_auth.core.paging import PageQuery
from czo_auth.web.routing import PageRequest, Pages

pages = Pages()


@pages.get("/device", access=ACCOUNT)
async def device_form(page: PageRequest) -> Response:
    """Ask for the user code, or show its request."""
    typed = page.form.raw("user_code") or page.query.raw("user_code")
    code = canonical_user_code(typed)
    if code is None or page.refusal is not None:
        return page.show("device.html", user_code=typed[:MAX_CODE], opened=None)
    opened = await page.call.runtime.devices.open(code, context=page.call.context)
    organization = await _organization_name(page, opened.authorization.organization_id)
    return page.show(
        "device.html",
        user_code=shown_user_code(code),
        opened=opened,
        organization=organization,
        proved=await page.call.runtime.reauthentication.is_recent(context=page.call.context),
    )


@pages.post("/device", access=ACCOUNT, again=device_form)
async def open_code(page: PageRequest) -> Response:
    """Redirect to the request of the entered code."""
    typed = page.form.text("user_code", max_length=MAX_CODE)
    return page.redirect("/device", user_code=shown_user_code(typed) if canonical_user_code(typed) else typed)


@pages.post("/device/approve", access=ACCOUNT, again=device_form)
async def approve(page: PageRequest) -> Response:
    """Approve the request; the device gets a key."""
    user_code = page.form.text("user_code", max_length=MAX_CODE)
    try:
        await page.call.runtime.devices.approve(user_code, context=page.call.context)
    except ReauthenticationRequired:
        return page.redirect("/reauthenticate", next=f"/device?{urlencode({'user_code': user_code})}")
    return page.redirect("/api-keys", done="device_approved")


@pages.post("/device/deny", access=ACCOUNT, again=device_form)
async def deny(page: PageRequest) -> Response:
    """Deny the request."""
    await page.call.runtime.devices.deny(
        page.form.text("user_code", max_length=MAX_CODE), context=page.call.context
    )
    return page.redirect("/api-keys", done="device_denied")


async def _organization_name(page: PageRequest, organization_id: str | None) -> str | None:
    if organization_id is None:
        return None
    call = page.call
    found = await call.runtime.manage_organizations.list(call.caller, PageQuery(limit=MAX_PAGE))
    return next((one.name for one, _ in found.items if one.id == organization_id), organization_id)
