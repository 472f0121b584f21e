"""The language of the pages, chosen by hand: kept in the browser and for mails, and no way to another site."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from tests.contract.api import SESSION_COOKIE
from tests.contract.databases import SqliteDatabases
from tests.web.conftest import Pages, opened_pages

COOKIE = "czo-auth.language"


async def choose(pages: Pages, language: str, way_back: str = "/", *, cookie: str = "") -> httpx.Response:
    return await pages.post("/language", {"language": language, "next": way_back}, cookie=cookie)


def cookie_of(answer: httpx.Response) -> str:
    (cookie,) = [text for text in answer.headers.get_list("set-cookie") if text.startswith(COOKIE)]
    assert "; HttpOnly; SameSite=Lax" in cookie
    assert "; Max-Age=31536000;" in cookie
    return cookie.partition(";")[0]


def spoken(answer: httpx.Response) -> str:
    found = re.search('<html lang="([a-z]+)">', answer.text)
    assert found is not None
    assert answer.headers["content-language"] == found[1]
    return found[1]


async def test_a_stranger_chooses_and_the_browser_remembers(pages: Pages) -> None:
    shown = await pages.get("/sign-in?as=merchant&next=%2Fapi-keys", accept_language="en")
    assert spoken(shown) == "en"
    assert 'lang="de">Deutsch</button>' in shown.text
    assert 'lang="fr">Français</button>' in shown.text
    assert 'lang="en" aria-current="true">English</button>' in shown.text
    (way_back,) = set(re.findall('name="next" value="([^"]*as=[^"]*)"', shown.text))
    led = await choose(pages, "de", way_back.replace("&amp;", "&"))
    assert led.status_code == 303
    assert led.headers["location"] == "/account/sign-in?as=merchant&next=%2Fapi-keys"
    cookie = cookie_of(led)
    again = await pages.get("/sign-in", accept_language="fr", cookie=cookie)
    assert spoken(again) == "de"
    assert "cookie" in again.headers["vary"]
    assert spoken(await pages.get("/nowhere", accept_language="fr", cookie=cookie)) == "de"


async def test_who_is_signed_in_gets_mails_in_it_too(pages: Pages) -> None:
    here = pages.here
    account, session = await here.people.newcomer()
    led = await choose(pages, "fr", "/password", cookie=f"{SESSION_COOKIE}={session.token}")
    assert led.headers["location"] == "/account/password"
    user = await here.runtime.services.transactions.read(lambda tx: tx.users.find(account.id))
    assert user is not None
    assert user.language == "fr"
    # A later sign-in in the same browser keeps it, whatever the browser itself speaks.
    form = {"email": account.email, "password": account.password, "as": "customer"}
    signed_in = await pages.post("/sign-in", form, accept_language="de", cookie=cookie_of(led))
    assert signed_in.status_code == 303
    user = await here.runtime.services.transactions.read(lambda tx: tx.users.find(account.id))
    assert user is not None
    assert user.language == "fr"


async def test_who_must_enroll_first_may_choose(pages: Pages) -> None:
    here = pages.here
    account = await here.people.sign_up()
    await here.auth.users.grant(account.id, "admin")
    session = await here.people.sign_in(account, "admin")
    led = await choose(pages, "de", "/enrol", cookie=f"{SESSION_COOKIE}={session.token}")
    assert led.headers["location"] == "/account/enrol"


@pytest.mark.parametrize(
    "way_back",
    [
        *(
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "/%0d%0aset-cookie:x",
            "javascript:alert(1)",
        ),
        *("", "sign-in", "/sign-in#x", "/sign-in?next=//evil.example", "/" + "a" * 4000),
    ],
)
async def test_it_leads_to_a_page_of_ours_only(pages: Pages, way_back: str) -> None:
    led = await choose(pages, "de", way_back)
    assert led.headers["location"] == "/account/"


@pytest.mark.parametrize("language", ["", "xx", "DE", "de-DE", "../de", "de\r\nx: y", "d" * 900, "é"])
async def test_what_is_no_language_changes_nothing(pages: Pages, language: str) -> None:
    refused = await choose(pages, language)
    assert refused.status_code == 400
    assert COOKIE not in str(refused.headers)
    cookie = f"{COOKIE}={language.replace('de' + chr(13) + chr(10), '').encode('ascii', 'replace').decode()}"
    assert spoken(await pages.get("/sign-in", accept_language="fr", cookie=cookie)) == "fr"


async def test_another_site_cannot_choose(pages: Pages) -> None:
    for origin in ("https://evil.example", None):
        refused = await pages.post("/language", {"language": "de"}, origin=origin)
        assert refused.status_code == 403
        assert COOKIE not in str(refused.headers)


async def test_a_refused_form_leads_back_to_the_page_that_shows_it(pages: Pages) -> None:
    _, session = await pages.here.people.newcomer()
    refused = await pages.post("/organizations", {"name": ""}, session=session.token)
    assert refused.status_code == 400
    assert '<input type="hidden" name="next" value="/organizations">' in refused.text


async def test_a_language_of_the_deployment_is_in_the_menu_by_its_own_name(
    sqlite_databases: SqliteDatabases, tmp_path: Path
) -> None:
    tmp_path.joinpath("it.toml").write_text(
        '[page]\nlanguage_name = "Italiano"\n[sign_in]\ntitle = "Accedi"\n'
    )
    tmp_path.joinpath("nl.toml").write_text('[sign_in]\ntitle = "Inloggen"\n')
    async with opened_pages(sqlite_databases, translations_dir=tmp_path) as pages:
        shown = await pages.get("/sign-in")
        assert 'lang="it">Italiano</button>' in shown.text
        assert 'lang="nl">nl</button>' in shown.text
        cookie = cookie_of(await choose(pages, "it"))
        assert "<h1>Accedi</h1>" in (await pages.get("/sign-in", cookie=cookie)).text
