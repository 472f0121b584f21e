"""
Forms that create something. Each is executed once, and leads to a page that shows a secret for ten minutes (S42).

The form contains a nonce. After a second click, a reload or going back, the page shows the result of the first click.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from starlette.responses import Response

from czo_auth.asgi.session_cookies import set_session_cookies
from czo_auth.core.access import ACCOUNT, ADMINISTRATION, ENROLLING
from czo_auth.core.errors import NotFound, RequestInProgress, Unavailable
from czo_auth.core.flows.idempotency import CompletedRequest, RunningRequest
from czo_auth.core.flows.sessions.issue import SignedIn
from czo_auth.core.ids import new_id
from czo_auth.crypto import qr
from czo_auth.web.routing import PageRequest, Pages

Area = Literal["/shown", "/enrol/shown", "/admin/shown"]
"""The path of the page with the secret; its access rule is that of the form that created the secret."""

pages = Pages()
_LOG = logging.getLogger("czo_auth.web")
_TEMPLATES: Final = {
    "api_key": "api_key_shown.html",
    "backup_codes": "backup_codes_shown.html",
    "enrollment": "enrol_secret.html",
    "invitation": "invited.html",
    "first_codes": "enrol_codes.html",
    "service_account_key": "api_key_shown.html",
    "webhook": "webhook_secret.html",
}
_NONCE_FIELD: Final = "nonce"
_WAIT_SECONDS: Final = 0.1
_MAX_WAITS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """
    The secret that a form created, as its page shows it.

    Attributes:
        kind: A key of ``_TEMPLATES``.
        values: The variables of the page, as JSON values.
        signed_in: The session that replaces the caller's.
    """

    kind: str
    values: Mapping[str, Any] = field(repr=False)
    signed_in: SignedIn | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """
    The result of a form without a secret to show.

    Attributes:
        path, notice: The page to which it redirects, and the notice there.
        signed_in: The session that replaces the caller's.
    """

    path: str
    notice: str
    signed_in: SignedIn | None = None


async def run_idempotent(
    page: PageRequest,
    act: Callable[[], Awaitable[Secret | Done]],
    *,
    area: Area = "/shown",
    shows_enrollment: bool = False,
) -> Response:
    """
    Run *act* once for each rendered form, and redirect to the page of its result.

    Raises:
        IdempotencyKeyReused: The same form was sent before with other values.
        RequestInProgress: The first request is still running.
    """
    begun = await _begin(page, shows_enrollment=shows_enrollment)
    if isinstance(begun, CompletedRequest):
        return _lead(page, begun.id, json.loads(begun.answer))
    requests = page.call.runtime.idempotency
    try:
        made = await act()
    except Exception:
        await requests.abandon(begun)
        raise
    answer = _written(made, area)
    try:
        answer_id = await requests.keep(begun, json.dumps(answer).encode())
        response = _lead(page, answer_id, answer)
    except Unavailable:
        # The form was executed, so its result is shown now. The nonce stays taken: nothing is created twice.
        _LOG.warning("the result of a form could not be stored")
        is_secret = isinstance(made, Secret)
        response = await show_secret(page, answer, answer_id="") if is_secret else _lead(page, "", answer)
    if made.signed_in is not None:
        set_session_cookies(page.call, response, made.signed_in)
    return response


async def read_secret(page: PageRequest, answer_id: str, *, area: Area) -> dict[str, Any] | None:
    """Return the stored result of a form of this session; None if its ten minutes are over."""
    call = page.call
    try:
        kept = await call.runtime.idempotency.read(answer_id, context=call.context)
    except NotFound:
        return None
    answer: dict[str, Any] = json.loads(kept.answer)
    # The REST API stores its answers in the same table, in another format.
    if answer.get("area") != area:
        return None
    await _check_rights(page, answer)
    return answer


async def show_secret(
    page: PageRequest, answer: Mapping[str, Any], *, answer_id: str, http_status: int = 200, **more: object
) -> Response:
    """Respond with the page of a secret."""
    values = dict(answer["values"])
    if answer["kind"] == "enrollment":
        values["qr_code"] = await asyncio.to_thread(qr.svg_data_uri, values["totp_uri"])
        values["expires_at"] = datetime.fromisoformat(values["expires_at"])
        more = {"old_authenticator": False, **more, "shown_id": answer_id}
    if answer["kind"] in ("api_key", "service_account_key"):
        settings = page.call.runtime.settings
        values["whoami"] = f"{settings.public_url.rstrip('/')}{settings.base_path}/whoami"
    if "made_at" in values:
        values["made_at"] = datetime.fromisoformat(values["made_at"])
    return page.show(_TEMPLATES[answer["kind"]], http_status=http_status, **values, **more)


async def _begin(page: PageRequest, *, shows_enrollment: bool) -> RunningRequest | CompletedRequest:
    """Claim the form's nonce; a second click waits for the result of the first one."""
    fields = {name: list(texts) for name, texts in page.form.fields.items() if name != _NONCE_FIELD}
    body = json.dumps(fields, sort_keys=True).encode()
    # A form without a nonce is not one of ours: it is executed, and cannot be recognized when it is repeated.
    name = page.form.raw(_NONCE_FIELD) or new_id(page.call.now)
    for _ in range(_MAX_WAITS):
        try:
            return await page.call.runtime.idempotency.begin(
                name=name,
                route=f"POST {page.path}",
                body=body,
                shows_enrollment=shows_enrollment,
                context=page.call.context,
            )
        except RequestInProgress:
            await asyncio.sleep(_WAIT_SECONDS)
    raise RequestInProgress


def _written(made: Secret | Done, area: Area) -> dict[str, Any]:
    if isinstance(made, Done):
        return {"path": made.path, "notice": made.notice}
    return {"area": area, "kind": made.kind, "values": dict(made.values)}


def _lead(page: PageRequest, answer_id: str, answer: Mapping[str, Any]) -> Response:
    if "path" in answer:
        return page.redirect(answer["path"], done=answer["notice"])
    return page.redirect(f"{answer['area']}/{answer_id}")


async def _check_rights(page: PageRequest, answer: Mapping[str, Any]) -> None:
    """Refuse a secret to a user who may no longer create it; admission does not check rights in organizations."""
    call, values = page.call, answer["values"]
    match answer["kind"]:
        case "api_key":
            await call.runtime.create_api_keys.check_creation(
                organization_id=values["organization"], scopes=values["scopes"], context=call.context
            )
        case "service_account_key":
            await call.runtime.service_account_keys.check_creation(
                values["organization"], values["account"], values["scopes"], context=call.context
            )
        case "webhook":
            await call.runtime.webhooks.get(values["organization"], values["id"], context=call.context)
        case "invitation":
            await call.runtime.invitations.check_inviter(
                values["organization"], values["role"], context=call.context
            )


async def _shown(page: PageRequest, area: Area) -> Response:
    answer_id = page.id("id")
    answer = await read_secret(page, answer_id, area=area)
    if answer is None:
        return page.show("shown_over.html", http_status=404, area=area)
    return await show_secret(page, answer, answer_id=answer_id)


@pages.get("/shown/{id}", access=ACCOUNT)
async def shown(page: PageRequest) -> Response:
    """Show a key, a link, a secret or backup codes, for ten minutes."""
    return await _shown(page, "/shown")


@pages.get("/enrol/shown/{id}", access=ENROLLING)
async def shown_while_enrolling(page: PageRequest) -> Response:
    """Show the secret and the codes of an enrollment, until it is confirmed or ten minutes are over."""
    return await _shown(page, "/enrol/shown")


@pages.get("/admin/shown/{id}", access=ADMINISTRATION)
async def shown_to_administrators(page: PageRequest) -> Response:
    """Show the secret of an administrators' webhook endpoint, for ten minutes."""
    return await _shown(page, "/admin/shown")
