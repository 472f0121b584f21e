"""A FastAPI application that serves the page, and czo-auth below it."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from czo_auth import Auth, Settings
from czo_auth.deployment import settings_with_local_key

FOLDER = Path(os.environ.get("CZO_AUTH_DATA_DIR", ".czo-auth/react_page"))
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Shop</title></head>
<body><div id="root"></div><script type="module" src="/built/page.js"></script></body></html>
"""
# A passkey works for a name and not for an address, so the page is opened at localhost.
settings = settings_with_local_key(Settings(data_dir=FOLDER))
auth = Auth(settings)
app = FastAPI(title="Shop", lifespan=auth.lifespan())
app.mount("/api/auth", auth.app)
app.mount("/built", StaticFiles(directory=FOLDER / "built"))


@app.get("/")
def page() -> HTMLResponse:
    """The page; React fills it."""
    return HTMLResponse(PAGE)
