"""A host's own templates, laid over ours."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest
from jinja2 import Environment

from czo_auth.errors import StartRefused
from czo_auth.templating import template_environment
from tests.contract.databases import SqliteDatabases
from tests.web.conftest import opened_pages

BRAND_PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "brand.md"
BLOCKS = sorted(re.findall(r"^\| `(\w+)` \| `layout\.html`", BRAND_PAGE.read_text("utf-8"), re.MULTILINE))


async def test_a_block_is_replaced_and_the_rest_of_the_page_stays(
    sqlite_databases: SqliteDatabases, tmp_path: Path
) -> None:
    tmp_path.joinpath("layout.html").write_text(
        '{% extends "czo_auth/layout.html" %}\n'
        '{% block footer %}<footer>{{ t("own.slogan") }} {{ brand }} <b>{{ "<i>" }}</b></footer>{% endblock %}\n'
    )
    words = tmp_path / "words"
    words.mkdir()
    words.joinpath("en.toml").write_text('[own]\nslogan = "Only here"\n[sign_in]\ntitle = "Welcome back"\n')
    async with opened_pages(
        sqlite_databases, templates_dir=tmp_path, translations_dir=words, brand_name="Shop"
    ) as pages:
        for path in ("/sign-in", "/sign-up", "/forgot-password"):
            page = (await pages.get(path)).text
            assert "<footer>Only here Shop <b>&lt;i&gt;</b></footer>" in page
        page = (await pages.get("/sign-in")).text
        assert "<h1>Welcome back</h1>" in page
        assert 'name="password"' in page


@pytest.mark.parametrize("block", BLOCKS)
async def test_an_override_of_each_documented_block_is_on_pages_of_strangers_and_users(
    sqlite_databases: SqliteDatabases, tmp_path: Path, block: str
) -> None:
    override = f"{{% block {block} %}}{{{{ super() }}}} ours-{block}{{% endblock %}}\n"
    # A page sets its own title, scripts, shape and content; an override of those belongs into the page.
    names = ("sign_in", "security") if block in ("title", "scripts", "shape", "content") else ("layout",)
    for name in names:
        tmp_path.joinpath(f"{name}.html").write_text(f'{{% extends "czo_auth/{name}.html" %}}\n{override}')
    async with opened_pages(sqlite_databases, templates_dir=tmp_path) as pages:
        _, session = await pages.here.people.newcomer()
        for path, token, kept in (
            ("/sign-in", None, 'name="password"'),
            ("/security", session.token, "/account/activity"),
        ):
            page = await pages.get(path, session=token)
            assert page.status_code == 200
            assert page.text.count(f"ours-{block}") == 1
            for ours in (kept, "style.css", 'class="brand"', 'action="/account/language"', "</html>"):
                assert ours in page.text


async def test_a_page_is_replaced_as_a_whole(sqlite_databases: SqliteDatabases, tmp_path: Path) -> None:
    tmp_path.joinpath("_logo.html").write_text("<p>our logo</p>")
    tmp_path.joinpath("forgot_password.html").write_text(
        '{% extends "layout.html" %}{% block content %}{% include "_logo.html" %}<h1>Gone?</h1>{% endblock %}'
    )
    async with opened_pages(sqlite_databases, templates_dir=tmp_path) as pages:
        page = (await pages.get("/forgot-password")).text
        assert "<p>our logo</p><h1>Gone?</h1>" in page


@pytest.mark.parametrize(
    "body",
    [
        "{{ nobody.knows }}",
        "{{ 1 / 0 }}",
        "{{ ().__class__.__mro__ }}",
        "{{ form.fields.clear() }}{% set x = [] %}{{ x.append(1) }}",
        '{% include "missing.html" %}',
    ],
)
async def test_a_template_that_raises_shows_our_error_page_and_is_logged(
    sqlite_databases: SqliteDatabases, tmp_path: Path, caplog: pytest.LogCaptureFixture, body: str
) -> None:
    tmp_path.joinpath("layout.html").write_text(
        '{% extends "czo_auth/layout.html" %}{% block brand %}' + body + "{% endblock %}"
    )
    async with opened_pages(sqlite_databases, templates_dir=tmp_path) as pages:
        page = await pages.get("/sign-in", accept_language="de")
        assert page.status_code == 500
        assert "Diese Seite konnte nicht angezeigt werden." in page.text
        assert "<title>" in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert "the template of the page sign_in.html failed" in caplog.text
        # What was done before the page is done.
        answer = await pages.post(
            "/sign-in", {"as": "customer", "email": pages.here.carol.email, "password": "x"}
        )
        assert answer.status_code == 401
        assert "Diese Seite" not in answer.text
        assert "This page could not be shown." in answer.text


async def test_a_form_acts_although_the_page_after_it_fails(
    sqlite_databases: SqliteDatabases, tmp_path: Path
) -> None:
    tmp_path.joinpath("security.html").write_text("{{ nobody }}")
    async with opened_pages(sqlite_databases, templates_dir=tmp_path) as pages:
        account, session = await pages.here.people.newcomer()
        renamed = await pages.post("/security/profile", {"name": "Renamed"}, session=session.token)
        assert renamed.status_code == 303, renamed.text
        assert (await pages.get("/security", session=session.token)).status_code == 500
        found = await pages.here.api.get("/session", cookies=session.cookies)
        assert found.json()["user"]["name"] == "Renamed", account.email


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("\n{% block content %}", r"layout\.html is broken: .* \(at line 2\)"),
        ("a\nb\n{{ x | nofilter }}", r"layout\.html is broken: .*nofilter.* \(at line 3\)"),
    ],
)
async def test_a_broken_template_stops_the_start_and_names_the_line(
    sqlite_databases: SqliteDatabases, tmp_path: Path, text: str, sentence: str
) -> None:
    tmp_path.joinpath("layout.html").write_text(text)
    with pytest.raises(StartRefused, match=sentence):
        async with opened_pages(sqlite_databases, templates_dir=tmp_path):
            pass


async def test_a_folder_that_is_not_there_stops_the_start(
    sqlite_databases: SqliteDatabases, tmp_path: Path
) -> None:
    with pytest.raises(StartRefused, match="CZO_AUTH_TEMPLATES_DIR"):
        async with opened_pages(sqlite_databases, templates_dir=tmp_path / "missing"):
            pass


async def test_a_name_that_replaces_nothing_is_warned_about(
    sqlite_databases: SqliteDatabases, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.joinpath("signin.html").write_text("x")
    async with opened_pages(sqlite_databases, templates_dir=tmp_path):
        assert "signin.html replaces no template of ours" in caplog.text


def test_every_documented_block_exists_and_every_block_is_documented() -> None:
    documented = set(BLOCKS)
    layout = files("czo_auth.web").joinpath("templates", "layout.html").read_text("utf-8")
    assert set(re.findall(r"{% block (\w+) %}", layout)) == documented
    assert {"title", "head", "brand", "content", "footer"} <= documented


def test_a_template_is_compiled_once_for_all_deployments_of_a_process_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.html"

    def rendered() -> str:
        return template_environment(tmp_path, package="czo_auth.web").get_template("own.html").render()

    for text in ("before", "after"):
        own.write_text(text)
        assert rendered() == text
    monkeypatch.delattr(Environment, "compile")
    assert rendered() == "after"
