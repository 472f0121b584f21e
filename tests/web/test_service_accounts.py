"""The pages of service accounts, of every key that acts in an organization, and of removing a member."""

from __future__ import annotations

import html
import re

import pytest

from tests.contract.acting import create_key, create_organization, is_accepted, join
from tests.contract.checks import accepted
from tests.contract.people import Session
from tests.web.conftest import Pages


async def owner_of(pages: Pages) -> tuple[Session, str]:
    _, session = await pages.here.people.newcomer()
    return session, f"/organizations/{await create_organization(pages.here.api, session)}"


async def shown(pages: Pages, path: str, session: Session, language: str = "en") -> str:
    answer = await pages.get(path, session=session.token, accept_language=language)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def key_in(text: str) -> str:
    return re.findall(r"czo_[A-Za-z0-9_-]{43}", text)[0]


@pytest.mark.parametrize("language", ["en", "fr", "de"])
async def test_an_account_is_made_given_a_key_disabled_and_deleted(pages: Pages, language: str) -> None:
    session, organization = await owner_of(pages)
    base = f"{organization}/service-accounts"
    assert f"/account{base}" in await shown(pages, organization, session, language)
    await shown(pages, base, session, language)
    form = {"name": "pipeline", "description": "Deploys.", "scopes": "a:read a:write"}
    made = await pages.post(base, form, session=session.token)
    path = made.headers["location"].removeprefix("/account")
    assert re.fullmatch(rf"{base}/[0-9a-f-]{{36}}", path)
    assert "Deploys." in await shown(pages, base, session, language)
    key = key_in(
        (await pages.shown(f"{path}/keys", {"key_name": "ci", "scope": "a:read"}, session=session.token)).text
    )
    assert await is_accepted(pages.here.api, key)
    assert key[:8] in await shown(pages, path, session, language)
    await pages.post(f"{path}/disable", session=session.token)
    assert not await is_accepted(pages.here.api, key)
    await shown(pages, path, session, language)
    await pages.post(f"{path}/enable", session=session.token)
    assert await is_accepted(pages.here.api, key)
    changed = {"name": "release", "description": "", "scopes": "a:read"}
    assert (await pages.post(path, changed, session=session.token)).status_code == 303
    assert "release" in await shown(pages, base, session, language)
    deleted = await pages.post(f"{path}/delete", session=session.token)
    assert deleted.headers["location"] == f"/account{base}"
    assert not await is_accepted(pages.here.api, key)


async def test_keys_of_the_organization_are_rotated_transferred_and_revoked(pages: Pages) -> None:
    session, organization = await owner_of(pages)
    api = pages.here.api
    own = await create_key(api, session, organizationId=organization.split("/")[2], scopes=["a:read"])
    body = {"name": "pipeline", "scopes": ["a:read"]}
    answer = await api.post(f"{organization}/service-accounts", body, bearer=session.token)
    account = accepted(answer, 201)["serviceAccount"]["id"]
    keys = f"{organization}/api-keys"
    listed = await shown(pages, keys, session)
    assert f"/account{keys}/{own['id']}/transfer" in listed
    form = {"account": account, "overlap": "0"}
    moved = key_in((await pages.shown(f"{keys}/{own['id']}/transfer", form, session=session.token)).text)
    assert (await is_accepted(api, moved), await is_accepted(api, own["key"])) == (True, False)
    found_keys = accepted(await api.get(keys, bearer=session.token))["apiKeys"]
    path = f"{keys}/{found_keys[0]['id']}"
    rotated = key_in((await pages.shown(f"{path}/rotate", {"overlap": "0"}, session=session.token)).text)
    assert (await is_accepted(api, rotated), await is_accepted(api, moved)) == (True, False)
    (live,) = accepted(await api.get(keys, bearer=session.token))["apiKeys"]
    await pages.post(f"{keys}/{live['id']}/revoke", session=session.token)
    assert not await is_accepted(api, rotated)


async def test_page_of_a_key_shows_its_uses_and_changes_a_service_accounts(pages: Pages) -> None:
    session, organization = await owner_of(pages)
    api, here = pages.here.api, pages.here
    body = {"name": "pipeline", "scopes": ["a:read", "a:write"]}
    answer = await api.post(f"{organization}/service-accounts", body, bearer=session.token)
    account = accepted(answer, 201)["serviceAccount"]["id"]
    body = {"name": "ci", "scopes": ["a:read", "a:write"], "quotaMax": 10, "quotaPeriod": "day"}
    path = f"{organization}/service-accounts/{account}"
    key = accepted(await api.post(f"{path}/api-keys", body, bearer=session.token), 201)["apiKey"]
    assert await is_accepted(api, key["key"])
    await here.auth._housekeeping.flush_key_uses()
    page = f"{organization}/api-keys/{key['id']}"
    for list_page in (path, f"{organization}/api-keys"):
        assert f'href="/account{page}"' in await shown(pages, list_page, session)
    for language in ("en", "fr", "de"):
        text = await shown(pages, page, session, language)
        assert '<rect class="used"' in text
    assert key["key"] not in text
    form = {"name": "nightly", "scope": "a:read", "enabled": "1", "quota_max": "5", "quota_period": "day"}
    changed = await pages.post(page, form, session=session.token)
    assert changed.headers["location"] == f"/account{page}"
    (listed,) = accepted(await api.get(f"{organization}/api-keys", bearer=session.token))["apiKeys"]
    assert (listed["name"], listed["scopes"], listed["quotaMax"]) == ("nightly", ["a:read"], 5)
    wider = await pages.post(page, {**form, "scope": "a:write"}, session=session.token)
    assert wider.status_code == 400
    here.time.advance(minutes=11)
    asked = await pages.post(page, {**form, "quota_max": "6"}, session=session.token)
    assert asked.headers["location"].startswith("/account/reauthenticate?next=")
    own = await create_key(api, session, organizationId=organization.split("/")[2])
    assert '<form method="post" action="/account' + f'{organization}/api-keys/{own["id"]}"' not in (
        await shown(pages, f"{organization}/api-keys/{own['id']}", session)
    )
    refused = await pages.post(f"{organization}/api-keys/{own['id']}", form, session=session.token)
    assert refused.status_code == 403
    _, stranger = await here.people.newcomer()
    assert (await pages.get(page, session=stranger.token)).status_code == 404


async def test_page_shows_what_removing_a_member_would_stop_before_it_does(pages: Pages) -> None:
    session, organization = await owner_of(pages)
    here = pages.here
    account, member = await here.people.newcomer()
    organization_id = organization.split("/")[2]
    await join(here.api, session, organization_id, (account, member))
    key = await create_key(here.api, member, organizationId=organization_id, name="nightly export")
    path = f"{organization}/members/{account.id}/remove"
    assert f"/account{path}" in await shown(pages, organization, session)
    assert "nightly export" in await shown(pages, path, session)
    asked = await pages.post(path, session=session.token)
    assert asked.headers["location"] == f"/account{path}"
    assert await is_accepted(here.api, key["key"])
    done = await pages.post(path, {"confirmed": "1"}, session=session.token)
    assert done.headers["location"] == f"/account{organization}"
    assert not await is_accepted(here.api, key["key"])


async def test_without_recent_proof_the_pages_ask_for_it(pages: Pages) -> None:
    session, organization = await owner_of(pages)
    pages.here.time.advance(hours=1)
    base = f"{organization}/service-accounts"
    assert "/account/reauthenticate?next=" in await shown(pages, base, session)
    asked = await pages.post(base, {"name": "x", "scopes": ""}, session=session.token)
    assert asked.status_code == 303
    assert asked.headers["location"].startswith("/account/reauthenticate?next=")
    assert not accepted(await pages.here.api.get(base, bearer=session.token))["serviceAccounts"]
