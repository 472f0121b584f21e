"""The page that shows the OpenAPI document: it finds the right one, and loads nothing from elsewhere."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import httpx
import pytest
from fastapi import FastAPI

from czo_auth import AuthMiddleware
from czo_auth.server import Server
from tests.contract.api import new_client
from tests.contract.conftest import Deploy, deploy_sqlite
from tests.contract.deployments import Timed
from tests.support.settings import HERE

__all__ = ["deploy_sqlite"]
_LOADED = re.compile(r'(?:src|href)="([^"]+)"')


def standalone(timed: Timed) -> httpx.AsyncClient:
    return new_client(HERE, transport=httpx.ASGITransport(Server(timed.runtime)))


def mounted(timed: Timed) -> httpx.AsyncClient:
    """A FastAPI host with a document and a page of its own."""
    host = FastAPI(title="the host's own")
    host.mount(timed.runtime.settings.base_path, timed.runtime.app)
    host.add_middleware(AuthMiddleware, auth=timed.runtime)
    return new_client(HERE, transport=httpx.ASGITransport(host))


@pytest.mark.parametrize(
    ("host", "base_path"),
    [
        (standalone, "/api/auth"),
        (mounted, "/v2/identity"),
        *(
            pytest.param(*each, marks=pytest.mark.deep)
            for each in (
                (standalone, "/auth"),
                (standalone, "/v2/identity"),
                (mounted, "/api/auth"),
                (mounted, "/auth"),
            )
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
async def test_page_points_at_our_own_document(deploy_sqlite: Deploy, host: object, base_path: str) -> None:
    timed = await deploy_sqlite(base_path=base_path)
    page = f"{base_path}/docs"
    async with (standalone if host is standalone else mounted)(timed) as http:
        shown = await http.get(page)
        assert shown.status_code == 200
        loaded = _LOADED.findall(shown.text)
        documents = {urljoin(page, each) for each in loaded if each.endswith("openapi.json")}
        assert documents == {f"{base_path}/openapi.json"}
        document = (await http.get(documents.pop())).json()
        assert document["info"]["title"] == "czo-auth"
        assert "/sign-in/email" in document["paths"]
        for each in loaded:
            assert each.startswith(f"{base_path}/"), "everything comes from here"
            answer = await http.get(each)
            assert answer.status_code == 200
            assert answer.headers["x-content-type-options"] == "nosniff"


async def test_page_loads_and_runs_nothing_from_elsewhere(deploy_sqlite: Deploy) -> None:
    timed = await deploy_sqlite()
    async with standalone(timed) as http:
        shown = await http.get("/api/auth/docs")
        script = (await http.get("/api/auth/docs/viewer.js")).text
        style = (await http.get("/api/auth/docs/viewer.css")).text
    policy = shown.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son[a-z]+=|\sstyle=", shown.text)
    for text in (shown.text, script, style):
        assert not re.search(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}|innerHTML|eval\(|document\.write", text)


async def test_page_is_closed_in_production(deploy_sqlite: Deploy) -> None:
    timed = await deploy_sqlite(environment="production", base_url="https://auth.test")
    async with standalone(timed) as http:
        for path in ("/docs", "/docs/viewer.js", "/docs/viewer.css", "/openapi.json"):
            assert (await http.get(f"/api/auth{path}")).status_code == 404
