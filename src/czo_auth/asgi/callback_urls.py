"""Where a link or a response may redirect a browser to: trusted origins only, to avoid open redirects."""

from __future__ import annotations

from urllib.parse import urlsplit

from czo_auth.asgi.admission import RequestContext
from czo_auth.core.errors import InvalidCallbackUrl


def check_callback_url(call: RequestContext, url: str | None) -> str | None:
    """
    Return *url* as a whole address if it lies within the own or a trusted origin.

    A path counts as one of the deployment's own. Backslashes, control characters and ``//`` are refused: browsers read
    them as the beginning of another host.

    Raises:
        InvalidCallbackUrl: It lies elsewhere, or is not an address.
    """
    if url is None or not url:
        return None
    if not url.isprintable() or not url.isascii() or "\\" in url or " " in url:
        raise InvalidCallbackUrl
    if url.startswith("/") and not url.startswith("//"):
        return call.runtime.settings.public_url + url
    try:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
    except ValueError:
        raise InvalidCallbackUrl from None
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or not parts.netloc:
        raise InvalidCallbackUrl
    if not call.authenticator.origins.trusts(origin):
        raise InvalidCallbackUrl
    return url
