"""Pages that carry a company's brand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from czo_auth import Brand
from czo_auth.errors import StartRefused
from tests.contract.databases import SqliteDatabases
from tests.web.conftest import opened_pages

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9v9z"/></svg>'


@pytest.fixture
def logo(tmp_path: Path) -> Path:
    path = tmp_path / "logo.svg"
    path.write_bytes(SVG)
    return path


async def test_pages_show_name_logo_color_icon_links_and_support(
    sqlite_databases: SqliteDatabases, logo: Path
) -> None:
    brand = Brand(
        name="Café <Süd>",
        logo=logo,
        accent="#ffcc00",
        favicon=logo,
        footer_links={"Imprint": "https://shop.example/imprint"},
        support_address="help@shop.example",
    )
    async with opened_pages(sqlite_databases, brand=brand) as pages:
        page = (await pages.get("/sign-in")).text
        assert "· Café &lt;Süd&gt;</title>" in page
        assert '<a href="https://shop.example/imprint">Imprint</a>' in page
        assert '<a href="mailto:help@shop.example">help@shop.example</a>' in page
        address = re.search(r'<img src="/account(/static/logo\?v=\w+)" alt=""', page)
        assert address is not None
        served = await pages.get(address[1])
        assert served.content == SVG
        assert served.headers["content-type"] == "image/svg+xml"
        assert served.headers["content-security-policy"].startswith("default-src 'none'; style-src")
        assert "sandbox" in served.headers["content-security-policy"]
        assert served.headers["x-content-type-options"] == "nosniff"
        assert served.headers["cache-control"] == "public, max-age=31536000, immutable"
        accent = re.search(r'href="/account(/static/brand\.css\?v=\w+)"', page)
        assert accent is not None
        sheet = await pages.get(accent[1])
        assert sheet.headers["content-type"] == "text/css; charset=utf-8"
        assert "--main:" in sheet.text
        assert re.search(r'rel="icon" type="image/svg\+xml" href="/account/static/favicon\?v=', page)


async def test_a_logo_elsewhere_is_the_one_thing_that_is_loaded_from_another_host(
    sqlite_databases: SqliteDatabases,
) -> None:
    async with opened_pages(sqlite_databases, brand_logo="https://cdn.shop.example/logo.png") as pages:
        answer = await pages.get("/sign-in")
        assert '<img src="https://cdn.shop.example/logo.png"' in answer.text
        policy = answer.headers["content-security-policy"]
        assert "img-src 'self' data: https://cdn.shop.example;" in policy
        assert "default-src 'none'" in policy
        assert (await pages.get("/static/logo")).status_code == 404


async def test_without_a_brand_nothing_is_added(sqlite_databases: SqliteDatabases) -> None:
    async with opened_pages(sqlite_databases) as pages:
        page = await pages.get("/sign-in")
        assert "brand.css" not in page.text
        assert "<footer" not in page.text
        assert "https:" not in page.headers["content-security-policy"]


async def test_a_logo_with_a_script_stops_the_start(
    sqlite_databases: SqliteDatabases, tmp_path: Path
) -> None:
    evil = tmp_path / "evil.svg"
    evil.write_bytes(SVG.replace(b"<path", b"<script>alert(1)</script><path"))
    with pytest.raises(StartRefused, match="holds the element script"):
        async with opened_pages(sqlite_databases, brand_logo=str(evil)):
            pass
