"""What all pages share: templates, security headers and static files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from czo_auth.asgi.admission import language_of
from czo_auth.asgi.cookies import Cookies
from czo_auth.core.browsers import browser_name
from czo_auth.core.errors import PageFailed
from czo_auth.core.ids import new_id
from czo_auth.core.notices import (
    FORM_LIFETIME,
    NOTICE_LIFETIME,
    open_form,
    open_notice,
    seal_form,
    seal_notice,
)
from czo_auth.runtime import Runtime
from czo_auth.templating import check_own_templates, template_environment
from czo_auth.translations import Translations
from czo_auth.web.error_messages import error_message
from czo_auth.web.forms import Form
from czo_auth.web.static_files import ACCENT, FAVICON, LOGO, static_files

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
FETCHING_POLICY = POLICY + "; connect-src 'self'"
"""For the few pages that htmx refreshes in part; the others fetch nothing."""

ERROR_PAGE = "refused.html"
LANGUAGE_LIFETIME = timedelta(days=365)
MAIL_TEMPLATES = frozenset({"mail.html"})
"""Other files in the folder of the deployment's templates."""
_LOG = logging.getLogger("czo_auth")


class PageRenderer:
    """
    Renders pages for one deployment.

    Args:
        base: Path at which the pages are mounted.
    """

    def __init__(self, runtime: Runtime, *, base: str) -> None:
        self.base = base
        self.catalogs = runtime.catalogs
        self._runtime = runtime
        brand = self._brand = runtime.settings.shown_brand
        self.static = static_files(brand)
        """Return the static files by name."""
        # A logo with an external URL is the only resource that pages load from another host.
        address = brand.logo_address
        self._images = "" if address is None else " https://" + urlsplit(address).netloc
        folder = runtime.settings.templates_dir
        self._ours = _environment(None)
        self._templates = self._ours if folder is None else _environment(folder)
        if folder is not None:
            known = frozenset(self._ours.list_templates())
            check_own_templates(folder, self._templates, known=known, others=MAIL_TEMPLATES)

    # --- notices -----------------------------------------------------------------------------------------------------
    @cached_property
    def _cookies(self) -> Cookies:
        return Cookies.of(self._runtime.settings)

    @property
    def notice_cookie(self) -> str:
        """Name of the cookie that carries a notice from one page to the next."""
        return self._cookies.notice

    def carry_notice(self, notice: str, page: str) -> str:
        """Return the cookie that makes *page* show *notice* once."""
        now = self._runtime.now()
        sealed = seal_notice(self._runtime.services.key_ring, notice, page=page, now=now)
        return self._cookies.set(self.notice_cookie, sealed, until=now + NOTICE_LIFETIME, now=now)

    def open_notice(self, sealed: str, page: str) -> str | None:
        """Return the notice for *page*; None if the cookie is not for it or has expired."""
        return open_notice(self._runtime.services.key_ring, sealed, page=page, now=self._runtime.now())

    def clear_notice(self) -> str:
        """Return the cookie that deletes a notice."""
        return self._cookies.clear(self.notice_cookie)

    @property
    def form_cookie(self) -> str:
        """Name of the cookie that stores the input of a form whose session ended."""
        return self._cookies.form

    def carry_form(self, fields: Mapping[str, Sequence[str]], page: str) -> str | None:
        """Return the cookie that fills *page* with the saved input; None if there is none."""
        now = self._runtime.now()
        sealed = seal_form(self._runtime.services.key_ring, fields, page=page, now=now)
        return sealed and self._cookies.set(self.form_cookie, sealed, until=now + FORM_LIFETIME, now=now)

    def open_form(self, sealed: str, page: str) -> Mapping[str, Sequence[str]]:
        """Return the input that was saved for *page*; empty if there is none, or it has expired."""
        return open_form(self._runtime.services.key_ring, sealed, page=page, now=self._runtime.now())

    def clear_form(self) -> str:
        """Return the cookie that deletes the saved input."""
        return self._cookies.clear(self.form_cookie)

    def language_of(self, request: Request) -> Translations:
        """Return the translations in the language of *request*."""
        return self.catalogs[language_of(request, self._runtime, self._cookies)]

    def keep_language(self, language: str) -> str:
        """Return the cookie with the chosen language."""
        now = self._runtime.now()
        return self._cookies.set(self._cookies.language, language, until=now + LANGUAGE_LIFETIME, now=now)

    def new_nonce(self) -> str:
        """Return a nonce that identifies one rendered form, so that it is executed once. It is not secret."""
        return new_id(self._runtime.now())

    # --- pages -------------------------------------------------------------------------------------------------------
    def render(
        self,
        template: str,
        *,
        status: int,
        translations: Translations,
        has_query: bool,
        values: Mapping[str, object],
    ) -> Response:
        """
        Render *template*. If a template of the deployment fails, show our error page instead.

        The changes of the request are already committed by then.
        """
        shared = {"fetches": False, **values, **self._shared(translations)}
        try:
            text = self._templates.get_template(template).render(shared)
        except Exception:
            if self._templates is self._ours:
                raise
            _LOG.exception("CZO_AUTH_TEMPLATES_DIR: the template of the page %s failed", template)
            status, failed = 500, error_message(PageFailed(), translations, Form())
            more = {"error": failed, "switch_to": None, "noticed": None, "fetches": False}
            text = self._ours.get_template(ERROR_PAGE).render(shared | more)
        response = HTMLResponse(text, status_code=status)
        response.headers["content-language"] = translations.language
        response.headers["vary"] = "accept-language, cookie"
        return self.guarded(response, has_query=has_query, fetches=bool(values.get("fetches")))

    def _shared(self, translations: Translations) -> dict[str, object]:
        """Return the variables of every template; see docs/how-to/brand.md."""
        brand = self._brand
        return {
            "t": translations,
            "languages": self.catalogs.names,
            "base": self.base,
            "static": self.address_of,
            "brand": brand.name,
            "logo": brand.logo_address or (self.address_of(LOGO) if LOGO in self.static else None),
            "favicon": Icon(self.address_of(FAVICON), self.static[FAVICON].media_type)
            if FAVICON in self.static
            else Icon(self.address_of("icon.svg"), "image/svg+xml"),
            "accent": self.address_of(ACCENT) if ACCENT in self.static else None,
            "footer_links": brand.links,
            "support_address": brand.support_address,
            "support_link": brand.support_link,
        }

    def address_of(self, name: str) -> str:
        """Return the URL of a static file; it changes with the content."""
        return f"{self.base}/static/{name}?v={self.static[name].version}"

    def guarded(self, response: Response, *, has_query: bool, fetches: bool = False) -> Response:
        """
        Add the security headers of a page.

        A query may contain a mailed token, so other sites must not get the URL of a page. ``no-referrer`` would do that
        too, but then browsers send ``Origin: null`` with the page's own form, which would be refused as cross-site.
        """
        policy = FETCHING_POLICY if fetches else POLICY
        response.headers["content-security-policy"] = policy.replace(
            "img-src 'self' data:", f"img-src 'self' data:{self._images}"
        )
        response.headers["x-content-type-options"] = "nosniff"
        response.headers["x-frame-options"] = "DENY"
        response.headers["referrer-policy"] = "strict-origin" if has_query else "same-origin"
        response.headers["cross-origin-opener-policy"] = "same-origin"
        response.headers["permissions-policy"] = "camera=(), microphone=(), geolocation=()"
        response.headers["cache-control"] = "no-store"
        return response


@dataclass(frozen=True, slots=True)
class Icon:
    """The icon in the browser's tab."""

    address: str
    media_type: str


def _environment(folder: Path | None) -> Environment:
    environment = template_environment(folder, package="czo_auth.web")
    environment.filters["browser"] = browser_name
    return environment
