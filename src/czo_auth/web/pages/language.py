"""The choice of the language."""

from __future__ import annotations

from starlette.responses import Response

from czo_auth.core.access import ENROLLING_OR_SIGNING_IN
from czo_auth.core.errors import ValidationFailed
from czo_auth.core.flows.users.profile import remember_language
from czo_auth.web.pages.sign_in import sign_in_form
from czo_auth.web.routing import PageRequest, Pages

pages = Pages()


@pages.post("/language", access=ENROLLING_OR_SIGNING_IN, again=sign_in_form)
async def choose_language(page: PageRequest) -> Response:
    """Store the language in the browser and, for signed-in users, for mails; then redirect back."""
    language = page.form.raw("language")
    if language not in page.renderer.catalogs.languages:
        raise ValidationFailed(details=(("language", "There is no such language."),))
    if page.caller is not None:
        await remember_language(page.call.runtime.services, language, context=page.call.context)
    response = page.redirect_to_requested()
    response.headers.append("set-cookie", page.renderer.keep_language(language))
    return response
