"""The confirmation of administrative actions that are hard to undo, which names the user (F36)."""

from __future__ import annotations

from typing import Literal

from starlette.responses import Response

from czo_auth.web.addresses import is_own_page
from czo_auth.web.routing import PageRequest

Question = Literal["ban", "reset", "delete", "grant", "take"]


async def confirmation(page: PageRequest, question: Question, user_id: str) -> Response | None:
    """
    Return the page that asks to confirm an action on *user_id*; None if it was confirmed.

    The page submits the same form again, so that it works without a script and nothing has to be entered twice.
    """
    if "confirmed" in page.form:
        return None
    sent = [(name, text) for name, texts in page.form.fields.items() for text in texts]
    return page.show(
        "admin_confirm.html",
        question=question,
        user=await page.call.runtime.administration.get(user_id),
        sent=sent,
        back=page.query.raw("back") if is_own_page(page.query.raw("back")) else "",
        is_own=user_id == page.call.caller.user_id,
    )
