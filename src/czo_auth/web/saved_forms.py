"""What was typed into a form whose session ended: kept by the browser until it signed in again, never a secret."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from czo_auth.web.forms import Form, read_form
from czo_auth.web.renderer import PageRenderer

SAVED_FIELDS: Final = frozenset(
    {
        *("name", "key_name", "email", "organization_name", "slug", "role", "description"),
        *("scope", "scopes", "expires", "organization", "allowed_ips", "rate_max", "rate_window", "overlap"),
        *("quota_max", "quota_period"),
        *("url", "events", "passkey_name", "max_days", "unused_days", "actor"),
        *("reason", "reset_reason", "delete_reason"),
    }
)
"""What may lie in the browser for ten minutes. Passwords, codes and tokens are not among them, nor is a new field."""


async def save_form(renderer: PageRenderer, request: Request, response: Response, page: str) -> None:
    """Let *response* carry what *request* brought, until *page* is opened again."""
    try:
        form = await read_form(request)
    except Exception:
        # Nothing that could be shown again came.
        return
    fields = {name: list(form.all(name)) for name in sorted(SAVED_FIELDS) if any(form.all(name))}
    cookie = renderer.carry_form(fields, page)
    if cookie is not None:
        response.headers.append("set-cookie", cookie)


def saved_form(renderer: PageRenderer, request: Request, page: str) -> Form:
    """Return what was typed into the form of *page* before its session ended; an empty form otherwise."""
    sealed = request.cookies.get(renderer.form_cookie)
    return Form(fields={} if sealed is None else renderer.open_form(sealed, page))


def page_of(templates: Sequence[str], request: Request) -> str | None:
    """Return the page that shows the form which *request* sent, of those that a view is registered for."""
    sent_to, values = str(request.scope["path"]), request.path_params
    found = []
    for template in templates:
        try:
            found.append(template.format_map(values))
        except KeyError:
            continue
    return max((each for each in found if sent_to.startswith(each)), key=len, default=None)
