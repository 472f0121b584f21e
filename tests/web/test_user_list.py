"""The list of users: filters, both directions, and the way back from a person (F41)."""

from __future__ import annotations

import html
import re

import pytest

from czo_auth.core import paging
from czo_auth.web.pages import administered_accounts, administration
from tests.contract.acting import create_organization
from tests.contract.database import sql
from tests.web.conftest import Pages


def people(text: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/account/admin/users/([0-9a-f-]{36})', text)


def way(text: str, name: str) -> str:
    (address,) = re.findall(rf'href="/account([^"]+)"[^>]*>{name}<', text)
    return html.unescape(address)


async def test_users_are_narrowed_by_status_actor_type_and_two_factors(pages: Pages) -> None:
    here = pages.here
    admin = (await here.people.sign_in(here.ada, "admin")).token
    newcomer, _ = await here.people.newcomer()
    await pages.post(f"/admin/users/{newcomer.id}/ban", {"reason": "spam", "confirmed": "1"}, session=admin)

    async def emails(query: str) -> str:
        return (await pages.get(f"/admin/users?{query}", session=admin)).text

    banned = await emails("status=banned")
    assert newcomer.email in banned
    assert here.carol.email not in banned
    admins = await emails("actor=admin")
    assert here.ada.email in admins
    assert here.carol.email not in admins
    assert here.carol.email in await emails("two_factor=on")
    assert here.carol.email not in await emails("two_factor=off")
    assert "Nothing matches." in await emails("search=nobody-like-this")


async def test_lists_with_more_matches_than_are_counted_say_so(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = pages.here
    admin = (await here.people.sign_in(here.ada, "admin")).token
    lists = ("users?search=example", "audit?outcome=success")
    _, session = await here.people.newcomer()
    for number in range(2):
        await create_organization(here.api, session, f"Acme {number}")

    async def shown(path: str) -> str:
        text = (await pages.get(f"/admin/{path}", session=admin)).text
        return re.findall(r'<p role="status">([^<]+)</p>', text)[0]

    for path in lists:
        assert re.fullmatch(r"Found: \d+", await shown(path))
    monkeypatch.setattr(paging, "MAX_COUNTED", 1)
    monkeypatch.setattr(administration, "PAGE", 1)
    monkeypatch.setattr(administered_accounts, "PAGE", 1)
    for path in lists:
        assert await shown(path) == "Found: 1 or more"
    assert await shown("organizations?search=acme") == "Organizations: 1 or more."
    assert re.fullmatch(r"Found: \d+", await shown("users"))


CROWD = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000)
INSERT INTO {}users (id, email, name, email_verified, actor_types, credential_version, created_at, updated_at)
SELECT printf('00000000-0000-7000-8000-%012d', n), 'crowd-' || n || '@example.com', 'Crowd', email_verified,
       actor_types, 1, created_at, updated_at
FROM numbers, {}users WHERE id = $1
"""


async def test_counts_are_grouped_as_the_language_does(pages: Pages) -> None:
    here = pages.here
    admin = (await here.people.sign_in(here.ada, "admin")).token
    await sql(here.runtime.settings.storage_url, CROWD, here.carol.id)
    for language, count in (
        ("en", "Found: 1,000"),
        ("fr", "Résultats\xa0: 1\u202f000"),
        ("de", "Gefunden: 1.000"),
    ):
        answer = await pages.get("/admin/users?search=crowd", session=admin, accept_language=language)
        assert f'<p role="status">{count}</p>' in answer.text


async def test_a_person_leads_back_to_the_list_they_were_found_in_also_after_a_change(pages: Pages) -> None:
    here = pages.here
    admin = (await here.people.sign_in(here.ada, "admin")).token
    listed = "/admin/users?search=" + here.carol.email.replace("@", "%40") + "&two_factor=on"
    found = (await pages.get(listed, session=admin)).text
    (person,) = re.findall(r'<th scope="row"><a href="/account([^"]+)"', found)
    text = (await pages.get(html.unescape(person), session=admin)).text
    assert way(text, "← Users") == listed
    ban = re.findall(r'action="/account(/admin/users/[^"]+/ban[^"]*)"', text)[0]
    asked = await pages.post(html.unescape(ban), {"reason": "spam"}, session=admin)
    confirmed = re.findall(r'action="/account(/admin/users/[^"]+/ban[^"]*)"', asked.text)[0]
    done = await pages.post(html.unescape(confirmed), {"reason": "spam", "confirmed": "1"}, session=admin)
    back = await pages.get(done.headers["location"].removeprefix("/account"), session=admin)
    assert way(back.text, "← Users") == listed
    elsewhere = await pages.get(f"/admin/users/{here.carol.id}?back=//evil.example", session=admin)
    assert way(elsewhere.text, "← Users") == "/admin/users"


async def test_the_list_can_be_walked_both_ways(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(administration, "PAGE", 2)
    here = pages.here
    for _ in range(3):
        await here.people.newcomer()
    admin = (await here.people.sign_in(here.ada, "admin")).token
    first = (await pages.get("/admin/users?status=", session=admin)).text
    assert "Previous page" not in first
    second = (await pages.get(way(first, "Next page"), session=admin)).text
    again = (await pages.get(way(second, "Previous page"), session=admin)).text
    assert people(again) == people(first)
    assert people(second) != people(first)
    assert people((await pages.get(way(second, "First page"), session=admin)).text) == people(first)
