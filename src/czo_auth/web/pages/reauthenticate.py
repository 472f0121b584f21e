"""Reauthentication before a change that needs recent proof."""

from __future__ import annotations

from starlette.responses import Response

from czo_auth.core.access import ACCOUNT
from czo_auth.web.addresses import is_own_page
from czo_auth.web.routing import PageRequest, Pages
from czo_auth.web.saved_forms import saved_form

pages = Pages()


@pages.get("/reauthenticate", access=ACCOUNT)
async def reauthenticate_form(page: PageRequest) -> Response:
    """Ask for the password, and for the second factor if there is one."""
    call = page.call
    wanted = page.form.raw("next") or page.query.raw("next")
    return page.show(
        "reauthenticate.html",
        has_factor=(await call.runtime.manage_two_factor.status(context=call.context)).enabled,
        next=wanted if is_own_page(wanted) else "/",
    )


@pages.post("/reauthenticate", access=ACCOUNT, again=reauthenticate_form)
async def reauthenticate(page: PageRequest) -> Response:
    """Check both, and return to the previous page."""
    call = page.call
    await call.runtime.reauthentication.renew(
        password=page.form.raw("password") or None,
        code=page.form.code(),
        context=call.context,
    )
    wanted = page.form.raw("next").partition("?")[0]
    is_kept = bool(saved_form(page.renderer, page.request, wanted).fields)
    return page.redirect_to_requested(done="reauthenticated_form_kept" if is_kept else "reauthenticated")
