"""What all pages share: templates, the headers that guard them, and their static files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from czo_auth.asgi.cookies import Cookies
from czo_auth.core.ids import new_id
from czo_auth.core.notices import NOTICE_LIFETIME, open_notice, seal_notice
from czo_auth.runtime import Runtime
from czo_auth.translations import Translations
from czo_auth.web.browsers import browser_name

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
FETCHING_POLICY = POLICY + "; connect-src 'self'"
"""Of the few pages that htmx refreshes in part; the others have nothing to fetch."""

STATIC = {
    "style.css": "text/css; charset=utf-8",
    "comfort.js": "text/javascript; charset=utf-8",
    "passkeys.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


class PageRenderer:
    """
    Renders pages for one deployment.

    Args:
        base: Path that the pages are mounted at.
    """

    def __init__(self, runtime: Runtime, *, base: str) -> None:
        self.base = base
        self.catalogues = runtime.catalogues
        self._brand = runtime.settings.totp_issuer
        self._runtime = runtime
        self._templates = Environment(
            loader=PackageLoader("czo_auth.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters["browser"] = browser_name

    @cached_property
    def static(self) -> Mapping[str, bytes]:
        """The static files by name."""
        folder = files("czo_auth.web").joinpath("static")
        return {name: folder.joinpath(name).read_bytes() for name in STATIC}

    @cached_property
    def _versions(self) -> Mapping[str, str]:
        return {name: hashlib.sha256(body).hexdigest()[:12] for name, body in self.static.items()}

    # --- notices -----------------------------------------------------------------------------------------------------
    @cached_property
    def _cookies(self) -> Cookies:
        return Cookies(secure=self._runtime.settings.public_url.startswith("https://"))

    @property
    def notice_cookie(self) -> str:
        """Name of the cookie that carries a notice from one page to the next."""
        return self._cookies.notice

    def carry_notice(self, notice: str, page: str) -> str:
        """Write the cookie that lets *page* say *notice* once."""
        now = self._runtime.now()
        sealed = seal_notice(self._runtime.services.key_ring, notice, page=page, now=now)
        return self._cookies.set(self.notice_cookie, sealed, until=now + NOTICE_LIFETIME, now=now)

    def open_notice(self, sealed: str, page: str) -> str | None:
        """Read what *page* is to say; None for what we did not seal for it a moment ago."""
        return open_notice(self._runtime.services.key_ring, sealed, page=page, now=self._runtime.now())

    def clear_notice(self) -> str:
        """Write the cookie that removes a notice."""
        return self._cookies.clear(self.notice_cookie)

    def new_nonce(self) -> str:
        """Return what tells one shown form from another, so that it acts once. It is no secret."""
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
        """Render *template*."""
        text = self._templates.get_template(template).render(
            t=translations,
            base=self.base,
            brand=self._brand,
            fetches=values.get("fetches", False),
            static=lambda name: f"{self.base}/static/{name}?v={self._versions[name]}",
            **{name: value for name, value in values.items() if name != "fetches"},
        )
        response = HTMLResponse(text, status_code=status)
        response.headers["content-language"] = translations.language
        response.headers["vary"] = "accept-language"
        return self.guarded(response, has_query=has_query, fetches=bool(values.get("fetches")))

    def guarded(self, response: Response, *, has_query: bool, fetches: bool = False) -> Response:
        """
        Add the headers that guard a page.

        A query may hold a mailed token, so its address goes nowhere. ``no-referrer`` would do that too, but then
        browsers send ``Origin: null`` with the page's own form, and it would be refused as another site's.
        """
        response.headers["content-security-policy"] = FETCHING_POLICY if fetches else POLICY
        response.headers["x-content-type-options"] = "nosniff"
        response.headers["x-frame-options"] = "DENY"
        response.headers["referrer-policy"] = "strict-origin" if has_query else "same-origin"
        response.headers["cross-origin-opener-policy"] = "same-origin"
        response.headers["permissions-policy"] = "camera=(), microphone=(), geolocation=()"
        response.headers["cache-control"] = "no-store"
        return response
