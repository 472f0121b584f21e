"""The security page: profile, second factors, backup codes, trusted devices and sessions."""

from __future__ import annotations

import json
from collections.abc import Sequence

from starlette.responses import Response

from czo_auth.core.access import ACCOUNT
from czo_auth.core.flows.users.profile import update_profile
from czo_auth.core.passkeys.passkey import Passkey, user_handle
from czo_auth.crypto import base64url
from czo_auth.web.pages.idempotent_forms import Secret, run_idempotent
from czo_auth.web.routing import PageRequest, Pages

pages = Pages()


@pages.get("/security", access=ACCOUNT)
async def overview(page: PageRequest) -> Response:
    """Show the security page."""
    call = page.call
    runtime, principal = call.runtime, call.caller
    session, user = await runtime.manage_sessions.current(principal)
    passkeys = await runtime.manage_passkeys.list(principal)
    return page.show(
        "security.html",
        user=user,
        current=session,
        status=await runtime.manage_two_factor.status(context=call.context),
        reset=await runtime.recovery.find(principal.require_user()),
        passkeys=passkeys,
        accepted=_accepted_passkeys(page, passkeys),
        offer=await _conditional_offer(page),
        devices=(await runtime.trusted_devices.list(context=call.context)).items,
        sessions=await runtime.manage_sessions.list(context=call.context),
    )


async def _conditional_offer(page: PageRequest) -> dict[str, object] | None:
    """Return the options from which the browser may create a passkey without a prompt; None if it must not."""
    options = await page.call.runtime.register_passkey.conditional_options(context=page.call.context)
    return None if options is None else {"options": json.dumps(options), "ceremony": options["ceremony"]}


def _accepted_passkeys(page: PageRequest, passkeys: Sequence[Passkey]) -> str | None:
    """Return the user's current passkeys, for the script that reports them to password managers."""
    rp_id = page.call.runtime.services.policies.passkeys.rp_id
    if rp_id is None:
        return None
    accepted = {
        "rpId": rp_id,
        "userId": base64url.encode(user_handle(page.call.caller.require_user())),
        "allAcceptedCredentialIds": [passkey.credential_id for passkey in passkeys],
    }
    return json.dumps(accepted)


@pages.post("/security/profile", access=ACCOUNT, again=overview)
async def change_profile(page: PageRequest) -> Response:
    """Change the user's name."""
    call = page.call
    await update_profile(
        call.runtime.services,
        name=page.form.text("name"),
        image=None,
        clears_image=False,
        context=call.context,
    )
    return page.redirect("/security", done="profile_changed")


@pages.get("/security/backup-codes", access=ACCOUNT)
async def backup_codes_form(page: PageRequest) -> Response:
    """Ask whether to replace the backup codes."""
    return page.show("backup_codes.html")


@pages.post("/security/backup-codes", access=ACCOUNT, again=backup_codes_form)
async def backup_codes(page: PageRequest) -> Response:
    """Replace the backup codes, and redirect to the page that shows the new ones."""
    call = page.call
    _, user = await call.runtime.manage_sessions.current(call.caller)

    async def replace() -> Secret:
        codes = await call.runtime.manage_two_factor.regenerate_codes(
            password=page.form.raw("password") or None,
            code=page.form.code(),
            context=call.context,
        )
        values = {"codes": list(codes), "account": user.email, "made_at": call.now.isoformat()}
        return Secret(kind="backup_codes", values=values)

    return await run_idempotent(page, replace)


@pages.get("/security/disable", access=ACCOUNT)
async def disable_form(page: PageRequest) -> Response:
    """Ask whether to turn two-factor authentication off."""
    call = page.call
    status = await call.runtime.manage_two_factor.status(context=call.context)
    return page.show("disable.html", status=status)


@pages.post("/security/disable", access=ACCOUNT, again=disable_form)
async def disable(page: PageRequest) -> Response:
    """Turn two-factor authentication off."""
    call = page.call
    await call.runtime.manage_two_factor.disable(
        password=page.form.raw("password") or None,
        code=page.form.code(),
        everything="all" in page.form,
        context=call.context,
    )
    return page.redirect("/security", done="two_factor_off")


@pages.post("/security/cancel-reset", access=ACCOUNT, again=overview)
async def cancel_own_reset(page: PageRequest) -> Response:
    """Cancel the pending reset of the user's second factor."""
    call = page.call
    await call.runtime.recovery.cancel_own(context=call.context)
    return page.redirect("/security", done="reset_cancelled")


@pages.post("/security/devices/{id}/revoke", access=ACCOUNT, again=overview)
async def revoke_device(page: PageRequest) -> Response:
    """Forget one trusted device."""
    call = page.call
    await call.runtime.trusted_devices.revoke(page.id("id"), context=call.context)
    return page.redirect("/security", done="device_forgotten")


@pages.post("/security/devices/revoke", access=ACCOUNT, again=overview)
async def revoke_devices(page: PageRequest) -> Response:
    """Forget all trusted devices."""
    call = page.call
    await call.runtime.trusted_devices.revoke_all(context=call.context)
    return page.redirect("/security", done="device_forgotten")


@pages.post("/security/sessions/{id}/revoke", access=ACCOUNT, again=overview)
async def revoke_session(page: PageRequest) -> Response:
    """End one session."""
    call = page.call
    await call.runtime.manage_sessions.revoke(page.id("id"), context=call.context)
    return page.redirect("/security", done="session_ended")


@pages.post("/security/sessions/revoke", access=ACCOUNT, again=overview)
async def revoke_sessions(page: PageRequest) -> Response:
    """End all other sessions."""
    call = page.call
    await call.runtime.manage_sessions.revoke_others(context=call.context)
    return page.redirect("/security", done="session_ended")
