"""
The page that shows the OpenAPI document: our own, small, and served from here.

It has the origin of the session cookie, so it loads nothing from elsewhere, and its policy allows nothing else.
"""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FILES = {"viewer.js": "text/javascript; charset=utf-8", "viewer.css": "text/css; charset=utf-8"}
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="service-desc" type="application/json" href="{base}/openapi.json">
<link rel="stylesheet" href="{base}/docs/viewer.css">
<script src="{base}/docs/viewer.js" defer></script>
</head>
<body><main><p><a href="{base}/openapi.json">openapi.json</a></p></main></body>
</html>
"""


def add_viewer(app: FastAPI, *, base: str) -> None:
    """
    Add the page and its files to *app*.

    Args:
        base: Path that *app* is mounted at, as browsers see it.
    """
    page = _PAGE.format(title=html.escape(app.title), base=html.escape(base, quote=True))

    async def show(_: Request) -> Response:
        return _guarded(HTMLResponse(page))

    app.router.add_route("/docs", show, methods=["GET"], include_in_schema=False)
    for name, media_type in FILES.items():
        app.router.add_route(
            f"/docs/{name}", _file(name, media_type), methods=["GET"], include_in_schema=False
        )


def _file(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_: Request) -> Response:
        return _guarded(Response(_read(name), media_type=media_type))

    return serve


@cache
def _read(name: str) -> bytes:
    return files(__name__).joinpath(name).read_bytes()


def _guarded(response: Response) -> Response:
    response.headers["content-security-policy"] = POLICY
    response.headers["x-content-type-options"] = "nosniff"
    response.headers["x-frame-options"] = "DENY"
    response.headers["referrer-policy"] = "same-origin"
    return response
