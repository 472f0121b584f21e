"""One's own account: change of address, export, deletion, and the links of mails about it."""

from __future__ import annotations

from contextlib import suppress

from starlette.responses import Response

from czo_auth.asgi.long_lists import write_json
from czo_auth.asgi.session_cookies import clear_session_cookies
from czo_auth.core.access import ACCOUNT
from czo_auth.core.errors import InvalidMailToken, ReauthenticationRequired
from czo_auth.core.limits import MAX_EMAIL, MAX_TOKEN
from czo_auth.web.routing import SIGNED_OUT, PageRequest, Pages

pages = Pages()


@pages.get("/email", access=ACCOUNT)
async def email_form(page: PageRequest) -> Response:
    """Ask for the new address."""
    _, user = await page.call.runtime.manage_sessions.current(page.call.caller)
    return page.show("email.html", user=user)


@pages.post("/email", access=ACCOUNT, again=email_form)
async def change_email(page: PageRequest) -> Response:
    """Mail a link to the new address and a notice to the old one."""
    call = page.call
    await call.runtime.change_email.request(
        new_email=page.form.text("email", max_length=MAX_EMAIL), context=call.context
    )
    return page.redirect("/security", done="email_change_mailed")


@pages.get("/revert-email-change", access=SIGNED_OUT)
async def revert_form(page: PageRequest) -> Response:
    """Ask for a click: mail scanners follow links, and must not change anything."""
    call, token = page.call, _token(page)
    is_live = await call.runtime.change_email.is_revertible(token, now=call.now)
    return page.show("revert_email_change.html", token=token, is_live=is_live)


@pages.post("/revert-email-change", access=SIGNED_OUT, again=revert_form)
async def revert(page: PageRequest) -> Response:
    """Undo a change of address; all sessions end."""
    call = page.call
    await call.runtime.change_email.take_back(_token(page), context=call.context)
    return page.redirect("/sign-in", done="email_change_taken_back")


@pages.get("/reject-verification", access=SIGNED_OUT)
async def reject_form(page: PageRequest) -> Response:
    """Ask for confirmation before the account is deleted."""
    call, confirmation = page.call, None
    with suppress(InvalidMailToken):
        confirmation = await call.runtime.verify_email.describe(_token(page), now=call.now)
    return page.show("reject_verification.html", token=_token(page), confirmation=confirmation)


@pages.post("/reject-verification", access=SIGNED_OUT, again=reject_form)
async def reject(page: PageRequest) -> Response:
    """Delete an account that somebody else created with this address, or cancel a change of address."""
    call = page.call
    await call.runtime.verify_email.reject(_token(page), context=call.context)
    return page.redirect("/sign-in", done="verification_rejected")


@pages.get("/secure-account", access=SIGNED_OUT)
async def secure_form(page: PageRequest) -> Response:
    """Ask for a click: mail scanners follow links, and must not change anything."""
    call, token = page.call, _token(page)
    is_live = await call.runtime.secure_account.is_live(token, now=call.now)
    return page.show("secure_account.html", token=token, is_live=is_live)


@pages.post("/secure-account", access=SIGNED_OUT, again=secure_form)
async def secure(page: PageRequest) -> Response:
    """End all sessions, remove the password, and mail a link to set a new one."""
    call = page.call
    await call.runtime.secure_account.secure(_token(page), context=call.context)
    response = page.redirect("/sign-in", done="account_secured")
    clear_session_cookies(call, response)
    return response


@pages.post("/export", access=ACCOUNT, again=email_form)
async def export(page: PageRequest) -> Response:
    """Export all data stored about the user, as a file."""
    call = page.call
    try:
        document = await call.runtime.export_user.export_own(context=call.context)
    except ReauthenticationRequired:
        return page.redirect("/reauthenticate", next="/security")
    return await download(page, document, f"account-{call.caller.user_id}.json")


@pages.get("/delete-account", access=ACCOUNT)
async def delete_form(page: PageRequest) -> Response:
    """Show what a deletion removes."""
    _, user = await page.call.runtime.manage_sessions.current(page.call.caller)
    effects = await page.call.runtime.delete_user.preview_own_deletion(context=page.call.context)
    return page.show("delete_account.html", user=user, effects=effects)


@pages.post("/delete-account", access=ACCOUNT, again=delete_form)
async def delete(page: PageRequest) -> Response:
    """Delete the user's account."""
    call = page.call
    await call.runtime.delete_user.delete_own(password=None, code=None, context=call.context)
    response = page.redirect("/sign-in", done="account_deleted")
    clear_session_cookies(call, response)
    return response


async def download(page: PageRequest, document: dict[str, object], filename: str) -> Response:
    """Respond with a document that the browser saves."""
    headers = {"content-disposition": f'attachment; filename="{filename}"'}
    response = Response(await write_json(document), headers=headers, media_type="application/json")
    return page.renderer.guarded(response, has_query=False)


def _token(page: PageRequest) -> str:
    return (page.form.raw("token") or page.query.raw("token"))[:MAX_TOKEN]
