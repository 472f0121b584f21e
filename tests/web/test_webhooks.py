"""The pages of webhook endpoints, for administrators and for owners."""

from __future__ import annotations

import html
import re
from importlib.resources import files
from urllib.parse import unquote

import pytest

from czo_auth.core.events.types import EVENT_TYPES
from czo_auth.core.webhooks.webhook import family_of
from czo_auth.translations import shipped
from czo_auth.web.pages.webhooks import explain_failure
from tests.contract.acting import create_key, create_organization, eventually
from tests.contract.checks import accepted
from tests.contract.people import Session
from tests.docs.pages import DOCS
from tests.web.conftest import Pages

GUIDE = DOCS / "how-to" / "webhooks.md"
URL = "https://hooks.example.com/czo"
SENDERS = [
    files("czo_auth").joinpath(path).read_text("utf-8")
    for path in ("delivery/webhooks.py", "core/flows/webhooks/deliver.py")
]
"""The modules that say in English what went wrong with an attempt."""


async def administrator(pages: Pages) -> tuple[Session, str]:
    here = pages.here
    here.time.advance(seconds=31)
    challenge = await here.people.challenge(here.ada, "admin")
    return Session.of(await here.people.verify(here.ada.has.code(), challenge=challenge)), "/admin/webhooks"


async def owner(pages: Pages) -> tuple[Session, str]:
    _, session = await pages.here.people.newcomer()
    organization = await create_organization(pages.here.api, session)
    return session, f"/organizations/{organization}/webhooks"


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("whose", [administrator, owner])
async def test_an_endpoint_is_made_changed_tested_and_deleted(
    pages: Pages, whose: object, language: str
) -> None:
    session, base = await whose(pages)  # type: ignore[operator]

    async def get(path: str) -> str:
        answer = await pages.get(path, session=session.token, accept_language=language)
        assert answer.status_code == 200
        return html.unescape(answer.text)

    async def post(path: str, form: dict[str, str] | None = None) -> str:
        answer = await pages.post(path, form, session=session.token, accept_language=language)
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].startswith(f"/account{base}")
        return await get(answer.headers["location"].removeprefix("/account"))

    assert "auth.apikey.*" in await get(base)
    form = {"url": URL, "events": "auth.apikey.* auth.org.created", "description": "the shop"}
    shown = await pages.shown(base, form, session=session.token)
    assert shown.status_code == 200
    assert re.search(r"whsec_[A-Za-z0-9+/]{43}=", html.unescape(shown.text))
    assert shown.headers["cache-control"] == "no-store"
    listed = await get(base)
    assert "the shop" in listed
    assert "whsec_" not in listed
    path = base + re.findall(rf'href="/account{base}(/[0-9a-f-]{{36}})"', listed)[0]
    assert "auth.apikey.* auth.org.created" in await get(path)
    await post(f"{path}/change", {"url": URL + "/2", "events": "*", "description": ""})
    assert f"{URL}/2" in await get(path)
    assert len(re.findall(r'name="delivery" value="[0-9a-f-]{36}"', await post(f"{path}/test"))) == 1
    await post(f"{path}/disable")
    assert "/test" not in await get(path)
    await post(f"{path}/enable")
    rotated = await pages.shown(f"{path}/secret", session=session.token)
    assert "whsec_" in rotated.text
    await post(f"{path}/replay", {"since": "2025-01-01T00:00"})
    deleted = await pages.post(f"{path}/delete", session=session.token)
    assert deleted.headers["location"] == f"/account{base}"
    assert (await pages.get(path, session=session.token)).status_code == 404


async def test_only_groups_that_can_reach_an_endpoint_are_offered(pages: Pages) -> None:
    offered = {}
    for whose in (administrator, owner):
        session, base = await whose(pages)
        text = (await pages.get(base, session=session.token)).text
        offered[whose] = set(re.findall(r"auth\.[a-z0-9_]+\.\*", text))
    assert offered[administrator] == {f"auth.{family_of(each)}.*" for each in EVENT_TYPES}
    assert offered[owner] == {"auth.apikey.*", "auth.org.*", "auth.role.*", "auth.service_account.*"}
    # The guide names the same.
    assert set(re.findall(r"auth\.[a-z0-9_]+\.\*", GUIDE.read_text())) == offered[owner]


async def test_the_log_shows_deliveries_and_sends_one_again(pages: Pages) -> None:
    session, base = await owner(pages)
    organization = base.split("/")[2]
    await pages.post(base, {"url": URL, "events": "*"}, session=session.token)
    listed = accepted(await pages.here.api.get(base, bearer=session.token))["webhooks"]
    path = f"{base}/{listed[0]['id']}"
    await create_key(pages.here.api, session, organizationId=organization)

    async def is_logged() -> bool:
        return "auth.apikey.created" in (await pages.get(path, session=session.token)).text

    await eventually(is_logged, within=60)
    text = (await pages.get(path, session=session.token)).text
    delivery = re.findall(r'name="delivery" value="([0-9a-f-]{36})"', text)[0]
    for form in ({"delivery": delivery}, {"since": "2025-01-01T00:00"}):
        again = await pages.post(f"{path}/replay", form, session=session.token)
        assert again.headers["location"] == f"/account{path}"
    ada, _ = await administrator(pages)
    audit = accepted(await pages.here.api.get("/admin/audit", bearer=ada.token))["audit"]
    replayed = [each["details"] for each in audit if each["action"] == "auth.webhook.replayed"]
    assert [each.get("deliveryId") for each in replayed] == [None, delivery]
    assert replayed[0]["since"].startswith("2025-01-01T00:00:00.000")
    assert "auth.apikey.created" not in (await pages.get(f"{path}?status=dead", session=session.token)).text


async def test_the_log_is_read_in_pages(pages: Pages) -> None:
    session, base = await owner(pages)
    await pages.post(base, {"url": URL, "events": "*"}, session=session.token)
    listed = accepted(await pages.here.api.get(base, bearer=session.token))["webhooks"]
    path = f"{base}/{listed[0]['id']}"
    for _ in range(31):
        accepted(await pages.here.api.post(f"{path}/test", bearer=session.token), 202)
    newest = (await pages.get(path, session=session.token)).text
    (older,) = re.findall(r'href="/account([^"]+cursor=[^"]+)"', newest)
    oldest = (await pages.get(html.unescape(older), session=session.token)).text
    shown = [re.findall(r'name="delivery" value="([0-9a-f-]{36})"', text) for text in (newest, oldest)]
    assert (len(shown[0]), len(shown[1]), len({*shown[0], *shown[1]})) == (30, 1, 31)
    assert not re.findall(r'href="/account[^"]+cursor=', oldest)


async def test_a_wrong_address_is_reported_at_its_field(pages: Pages) -> None:
    session, base = await owner(pages)
    answer = await pages.post(base, {"url": "https://127.0.0.1/", "events": "*"}, session=session.token)
    assert answer.status_code == 400
    assert 'href="#f-url"' in answer.text
    assert "https://127.0.0.1/" in answer.text
    answer = await pages.post(base, {"url": URL, "events": "auth.nothing"}, session=session.token)
    assert 'href="#f-events"' in answer.text


async def test_changes_ask_for_a_proof_and_go_on_after_it(pages: Pages) -> None:
    here = pages.here
    account, session = await here.people.newcomer()
    base = f"/organizations/{await create_organization(here.api, session)}/webhooks"
    here.time.advance(minutes=11)
    text = (await pages.get(base, session=session.token)).text
    assert "<form" not in text.partition("<main")[2].partition("</main>")[0]
    address = re.findall(r'href="/account(/reauthenticate\?next=[^"]+)"', text)[0]
    asked = await pages.post(base, {"url": URL, "events": "*"}, session=session.token)
    assert asked.status_code == 303
    assert unquote(asked.headers["location"]) == f"/account{address}"
    assert (await pages.get(address, session=session.token)).status_code == 200
    form = {"next": base, "password": "not the password"}
    assert (await pages.post("/reauthenticate", form, session=session.token)).status_code == 400
    form["password"] = account.password
    proved = await pages.post("/reauthenticate", form, session=session.token)
    assert proved.headers["location"] == f"/account{base}"
    made = await pages.post(base, {"url": URL, "events": "*"}, session=session.token)
    assert made.status_code == 303


@pytest.mark.parametrize("language", ["en", "fr", "de"])
def test_what_went_wrong_with_an_attempt_is_said_in_the_language_of_the_page(language: str) -> None:
    translations, said = shipped()[language], set()
    for stored in (
        "the name is not known",
        "no connection",
        "the connection failed (ReadError)",
        "the name leads to no address that is reachable from everywhere",
        "no answer within 10 s",
        "the event is no longer kept",
        "the secret cannot be read",
    ):
        assert any(stored.partition(" (")[0].partition(" 10")[0] in source for source in SENDERS), stored
        shown = explain_failure(translations, stored)
        assert shown is not None
        assert shown != stored
        said.add(shown)
    assert len(said) == 7
    assert any("ReadError" in each for each in said)
    assert any("10 s" in each for each in said)
    assert explain_failure(translations, "answered 500") is None, "the status is shown beside it"
    assert explain_failure(translations, "of another version") == "of another version"


async def test_only_owners_find_the_way(pages: Pages) -> None:
    session, base = await owner(pages)
    organization = base.removesuffix("/webhooks")
    assert f'href="/account{base}"' in (await pages.get(organization, session=session.token)).text
    _, stranger = await pages.here.people.newcomer()
    assert (await pages.get(base, session=stranger.token)).status_code == 404
    assert (await pages.get("/admin/webhooks", session=session.token)).status_code == 403


async def test_events_are_separated_by_commas_white_space_or_both(pages: Pages) -> None:
    session, base = await owner(pages)
    chosen = ["auth.apikey.*", "auth.org.*", "auth.webhook.*"]
    for events in (" ".join(chosen), ",".join(chosen), ", ".join(chosen), " ,\t".join(chosen) + ","):
        form = {"url": URL, "events": events}
        made = await pages.post(base, form, session=session.token)
        assert made.status_code == 303, (events, made.text)
        listed = accepted(await pages.here.api.get(base, bearer=session.token))["webhooks"]
        assert {tuple(sorted(each["events"])) for each in listed} == {tuple(chosen)}
    for blank in ("", " ", ",", " , "):
        refused = await pages.post(base, {"url": URL, "events": blank}, session=session.token)
        assert (refused.status_code, "Enter existing event types" in refused.text) == (400, True)
