"""The input of a form whose session ended: stored by the browser until the user signs in again. Never a secret."""

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
        *("quota_max", "quota_period", "enabled", "account", "since"),
        *("url", "events", "passkey_name", "max_days", "unused_days", "actor"),
        *("reason", "reset_reason", "delete_reason"),
    }
)
"""Fields that the browser may store for ten minutes: no passwords, codes or tokens. Other fields are not stored."""


async def save_form(
    renderer: PageRenderer, request: Request, response: Response, page: str, *, form: Form
) -> None:
    """
    Save the form input of *request* in a cookie of *response*, until *page* is opened again.

    Args:
        form: The input, if it was read before; otherwise empty.
    """
    try:
        form = form if form.fields else await read_form(request)
    except Exception:
        # Nothing to restore.
        return
    fields = {name: list(form.all(name)) for name in sorted(SAVED_FIELDS) if any(form.all(name))}
    cookie = renderer.carry_form(fields, page)
    if cookie is not None:
        response.headers.append("set-cookie", cookie)


def saved_form(renderer: PageRenderer, request: Request, page: str) -> Form:
    """Return the saved input of the form of *page*; an empty form if there is none."""
    sealed = request.cookies.get(renderer.form_cookie)
    return Form(fields={} if sealed is None else renderer.open_form(sealed, page))


def page_of(templates: Sequence[str], request: Request) -> str | None:
    """Return the path of the page with the form that *request* submitted, if a view is registered for it."""
    sent_to, values = str(request.scope["path"]), request.path_params
    found = []
    for template in templates:
        try:
            found.append(template.format_map(values))
        except KeyError:
            continue
    return max((each for each in found if sent_to.startswith(each)), key=len, default=None)
