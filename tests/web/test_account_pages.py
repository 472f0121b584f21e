"""What every page shows of an account: the menu, relative times, one's own log, and what a deletion ends."""

from __future__ import annotations

import html
import re

import pytest

from czo_auth.core.events.types import AUDIT_MEANINGS, EVENT_MEANINGS
from czo_auth.translations import shipped
from tests.contract.acting import create_key
from tests.contract.api import SESSION_COOKIE
from tests.contract.databases import SqliteDatabases
from tests.web.conftest import Pages, opened_pages


async def test_the_account_menu_is_on_every_page_also_on_refusals(pages: Pages) -> None:
    account, session = await pages.here.people.newcomer("merchant")
    for path, status in (("/security", 200), ("/admin/users", 403), ("/nowhere", 404), ("/api-keys/x", 404)):
        answer = await pages.get(path, session=session.token)
        assert answer.status_code == status
        menu = answer.text.partition("data-menu")[2].partition("</details>")[0]
        assert account.email in menu
        assert 'action="/account/sign-out"' in menu
        assert 'name="as" value="customer"' in menu
    assert "data-menu" not in (await pages.get("/sign-in")).text


async def test_times_are_relative_with_the_exact_one_beside(pages: Pages) -> None:
    _, session = await pages.here.people.newcomer()
    pages.here.time.advance(hours=3)
    english = (await pages.get("/security", session=session.token)).text
    assert re.search(
        r'<time datetime="[^"]+\+00:00" title="\d+ \w+ \d{4}, [\d:]{8} UTC">3 hours ago</time>', english
    )
    for language, said in (("fr", "il y a 3 heures"), ("de", "vor 3 Stunden")):
        assert said in (await pages.get("/security", session=session.token, accept_language=language)).text


async def test_the_second_step_says_whose_account_and_asks_for_digits(pages: Pages) -> None:
    carol = pages.here.carol
    begun = await pages.post("/sign-in", {"as": "customer", "email": carol.email, "password": carol.password})
    challenge = begun.headers["set-cookie"].partition(";")[0]
    text = (await pages.get("/sign-in/code", cookie=challenge)).text
    assert f"Signing in as {carol.email}" in text
    field = re.findall(r'<input id="f-code"[^>]+>', text)[0]
    assert 'inputmode="numeric"' in field
    assert 'autocomplete="one-time-code"' in field
    wrong = await pages.post("/sign-in/code", {"code": "", "backup_code": "AAAA"}, cookie=challenge)
    assert wrong.status_code == 401
    assert '<details class="other" open>' in wrong.text
    assert carol.email not in (await pages.get("/sign-in/code")).text


async def test_ones_own_activity_is_readable_and_nobody_elses(pages: Pages) -> None:
    here = pages.here
    account, session = await here.people.newcomer()
    await create_key(here.api, session)
    await pages.post("/sign-in", {"as": "customer", "email": account.email, "password": "wrong words"})
    admin = (await here.people.sign_in(here.ada, "admin")).token
    await pages.post(f"/admin/users/{account.id}/sessions/end", session=admin)
    again = (await here.people.sign_in(account)).token
    text = (await pages.get("/activity", session=again)).text
    for said in ("Account created", "Signed in", "API key created", "Session ended", "Another person"):
        assert said in text
    assert re.search(r'<strong>Sign-in</strong> <span class="state bad">Failure', text)
    assert here.ada.email not in text
    assert "auth." not in text
    assert "Clés" not in text
    french = (await pages.get("/activity", session=again, accept_language="fr")).text
    assert "Clé d’API créée" in french


def test_whatever_can_happen_to_an_account_has_words() -> None:
    others = ("auth.audit.", "auth.backup.", "auth.events.", "auth.webhook.")
    others += ("auth.apikey.leak_reported", "auth.user.deleted")
    actions = {action for action in EVENT_MEANINGS | AUDIT_MEANINGS if not action.startswith(others)}
    keys = {f"activity.{action.removeprefix('auth.').replace('.', '_')}" for action in actions}
    assert not keys - set(shipped()["en"].entries)


async def test_a_deletion_names_what_ends(pages: Pages) -> None:
    here = pages.here
    _, session = await here.people.newcomer()
    await create_key(here.api, session)
    await pages.post("/organizations", {"name": "Alone & Co", "slug": ""}, session=session.token)
    text = html.unescape((await pages.get("/delete-account", session=session.token)).text)
    for said in ("on every device: 1", "stop working immediately: 1", "The organization “Alone & Co”"):
        assert said in text
    assert "Delete my account" in text


async def test_scopes_are_chosen_from_those_of_the_host(sqlite_databases: SqliteDatabases) -> None:
    rule = {"customer": ["orders:read", "orders:write"], "org:owner": ["reports:*", "bills:pay"]}
    async with opened_pages(sqlite_databases, scope_rule=rule) as pages:
        _, session = await pages.here.people.newcomer()
        form = (await pages.get("/api-keys/new", session=session.token)).text
        assert re.findall(r'name="scope" value="([^"]+)"', form) == ["orders:read", "orders:write"]
        assert 'name="scopes"' not in form
        shown = await pages.shown(
            "/api-keys/new", {"name": "nightly", "scope": "orders:read"}, session=session.token
        )
        curl = html.unescape(re.findall(r'id="curl">([^<]+)<', shown.text)[0])
        assert re.fullmatch(r"curl -H 'Authorization: Bearer czo_[A-Za-z0-9_-]{43}' http\S+/whoami", curl)
        listed = (await pages.get("/api-keys", session=session.token)).text
        assert "orders:read</code>" in listed
        await pages.post("/organizations", {"name": "Mine", "slug": ""}, session=session.token)
        more = (await pages.get("/api-keys/new", session=session.token)).text
        assert "bills:pay" in more
        assert 'name="scopes"' in more, "what a pattern covers has to be typed"


@pytest.mark.parametrize("reason", ["session", "factor"])
async def test_what_was_typed_is_there_again_after_the_session_ended_except_secrets(
    pages: Pages, reason: str
) -> None:
    account, session = await pages.here.people.newcomer()
    if reason == "session":
        await pages.post("/sign-out", session=session.token)
    form = {"name": "nightly", "scopes": "orders:read", "expires": "30", "password": "a secret", "nonce": "1"}
    sent = await pages.post("/api-keys/new", form, session=session.token if reason == "session" else "czs_x")
    assert sent.headers["location"] == "/account/sign-in?next=%2Fapi-keys%2Fnew"
    (kept,) = re.findall(r"(czo-auth\.form=[^;]+)", str(sent.headers.get_list("set-cookie")))
    assert "nightly" not in kept
    again = (await pages.here.people.sign_in(account)).token
    cookie = f"{SESSION_COOKIE}={again}; {kept}"
    shown = await pages.get("/api-keys/new", cookie=cookie)
    assert 'value="nightly"' in shown.text
    assert 'value="30" selected' in shown.text
    assert "What you typed is still here" in shown.text
    assert "a secret" not in shown.text
    assert re.search(r"czo-auth\.form=; Max-Age=0", str(shown.headers.get_list("set-cookie")))
    assert 'value="nightly"' not in (await pages.get("/organizations", cookie=cookie)).text
    pages.here.time.advance(minutes=11)
    assert 'value="nightly"' not in (await pages.get("/api-keys/new", cookie=cookie)).text


async def test_passwords_and_codes_are_never_kept(pages: Pages) -> None:
    sent = await pages.post("/password", {"password": "one", "new_password": "two"})
    assert "czo-auth.form" not in str(sent.headers.get_list("set-cookie"))
