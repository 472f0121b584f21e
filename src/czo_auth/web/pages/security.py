"""An account: who it is, and what protects it: second factor, backup codes, trusted devices, sessions."""

from __future__ import annotations

from starlette.responses import Response

from czo_auth.core.access import ACCOUNT
from czo_auth.core.flows.sign_in.verify_email import update_profile
from czo_auth.web.pages.sign_in import LONGEST_CODE
from czo_auth.web.routing import Pages, Visit

pages = Pages()


@pages.get("/security", access=ACCOUNT)
async def overview(visit: Visit) -> Response:
    """All of it on one page."""
    call = visit.admitted
    runtime, principal, now = call.runtime, call.principal, call.now
    session, user = await runtime.sessions.current(principal)
    return visit.show(
        "security.html",
        user=user,
        current=session,
        status=await runtime.manage_two_factor.status(principal, now=now),
        reset=await runtime.recovery.find(principal.user_id),
        devices=await runtime.trusted_devices.list(principal, now=now),
        sessions=await runtime.sessions.list(principal, now=now),
    )


@pages.post("/security/profile", access=ACCOUNT, again=overview)
async def change_profile(visit: Visit) -> Response:
    """Change one's name."""
    call = visit.admitted
    await update_profile(
        call.runtime.services,
        call.principal,
        name=visit.form.text("name"),
        image=None,
        clears_image=False,
        provenance=call.provenance,
        now=call.now,
    )
    return visit.go("/security", done="profile_changed")


@pages.get("/security/backup-codes", access=ACCOUNT)
async def backup_codes_form(visit: Visit) -> Response:
    """Ask whether the old codes shall die."""
    return visit.show("backup_codes.html", codes=None)


@pages.post("/security/backup-codes", access=ACCOUNT, again=backup_codes_form)
async def backup_codes(visit: Visit) -> Response:
    """Replace the backup codes and show the new ones this once."""
    call = visit.admitted
    codes = await call.runtime.manage_two_factor.regenerate_codes(
        call.principal,
        password=visit.form.raw("password") or None,
        code=visit.form.optional("code", most=LONGEST_CODE),
        provenance=call.provenance,
        now=call.now,
    )
    return visit.show("backup_codes.html", codes=codes)


@pages.get("/security/disable", access=ACCOUNT)
async def disable_form(visit: Visit) -> Response:
    """Ask whether the second factor shall go."""
    return visit.show("disable.html")


@pages.post("/security/disable", access=ACCOUNT, again=disable_form)
async def disable(visit: Visit) -> Response:
    """Turn the second factor off."""
    call = visit.admitted
    await call.runtime.manage_two_factor.disable(
        call.principal,
        password=visit.form.raw("password") or None,
        code=visit.form.optional("code", most=LONGEST_CODE),
        provenance=call.provenance,
        now=call.now,
    )
    return visit.go("/security", done="two_factor_off")


@pages.post("/security/cancel-reset", access=ACCOUNT, again=overview)
async def cancel_own_reset(visit: Visit) -> Response:
    """Cancel the reset that waits for one's own second factor."""
    call = visit.admitted
    await call.runtime.recovery.cancel_own(call.principal, provenance=call.provenance, now=call.now)
    return visit.go("/security", done="reset_cancelled")


@pages.post("/security/devices/{id}/revoke", access=ACCOUNT, again=overview)
async def revoke_device(visit: Visit) -> Response:
    """Forget one trusted device."""
    call = visit.admitted
    await call.runtime.trusted_devices.revoke(
        call.principal, visit.id("id"), provenance=call.provenance, now=call.now
    )
    return visit.go("/security", done="device_forgotten")


@pages.post("/security/devices/revoke", access=ACCOUNT, again=overview)
async def revoke_devices(visit: Visit) -> Response:
    """Forget all trusted devices."""
    call = visit.admitted
    await call.runtime.trusted_devices.revoke_all(call.principal, provenance=call.provenance, now=call.now)
    return visit.go("/security", done="device_forgotten")


@pages.post("/security/sessions/{id}/revoke", access=ACCOUNT, again=overview)
async def revoke_session(visit: Visit) -> Response:
    """End one session."""
    call = visit.admitted
    await call.runtime.sessions.revoke(
        call.principal, visit.id("id"), provenance=call.provenance, now=call.now
    )
    return visit.go("/security", done="session_ended")


@pages.post("/security/sessions/revoke", access=ACCOUNT, again=overview)
async def revoke_sessions(visit: Visit) -> Response:
    """End all other sessions."""
    call = visit.admitted
    await call.runtime.sessions.revoke_others(call.principal, provenance=call.provenance, now=call.now)
    return visit.go("/security", done="session_ended")
