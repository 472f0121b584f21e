"""Forms that make something act once; a secret has a page that can be reloaded for ten minutes (F35, S42)."""

from __future__ import annotations

import asyncio
import html
import re
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from czo_auth.core.errors import Unavailable
from czo_auth.web.pages import idempotent_forms
from tests.contract.acting import create_key, create_organization
from tests.contract.api import SESSION_COOKIE
from tests.contract.people import Phone, Session
from tests.support.qr_codes import note_threads
from tests.web.conftest import Pages

NONCE = re.compile(r'name="nonce" value="([0-9a-f-]{36})"')
KEY = r"czo_[A-Za-z0-9_-]{43}"
SETUP_KEY = r"id=\"manual-key\"[^>]*>([A-Z2-7 ]{30,})<"
CODES = r"<li><code>([0-9A-Z-]{16,})</code>"
WEBHOOK_SECRET = r"whsec_[A-Za-z0-9+/]{43}="
URL = "https://hooks.example.com/czo"


@dataclass
class Case:
    """A form that makes a secret: where it is shown, where it goes, what is in it, and what a secret looks like."""

    session: Session
    shown_at: str
    path: str
    secret: str
    fields: dict[str, str] = field(default_factory=dict)


async def new_key(pages: Pages) -> Case:
    _, session = await pages.here.people.newcomer()
    return Case(session, "/api-keys/new", "/api-keys/new", KEY, {"name": "nightly", "scopes": ""})


async def rotated_key(pages: Pages) -> Case:
    _, session = await pages.here.people.newcomer()
    path = f"/api-keys/{(await create_key(pages.here.api, session))['id']}"
    return Case(session, path, f"{path}/rotate", KEY, {"overlap": "3600"})


async def enrollment(pages: Pages) -> Case:
    _, session = await pages.here.people.newcomer()
    return Case(session, "/enrol", "/enrol", SETUP_KEY)


async def new_codes(pages: Pages) -> Case:
    session = await pages.here.people.sign_in(pages.here.ada, "admin")
    fields = {"password": pages.here.ada.password}
    return Case(session, "/security/backup-codes", "/security/backup-codes", CODES, fields)


async def new_webhook(pages: Pages) -> Case:
    _, session = await pages.here.people.newcomer()
    path = f"/organizations/{await create_organization(pages.here.api, session)}/webhooks"
    return Case(session, path, path, WEBHOOK_SECRET, {"url": URL, "events": "*"})


async def administrators_webhook(pages: Pages) -> Case:
    session = await pages.here.people.sign_in(pages.here.ada, "admin")
    return Case(session, "/admin/webhooks", "/admin/webhooks", WEBHOOK_SECRET, {"url": URL, "events": "*"})


async def rotated_webhook(pages: Pages) -> Case:
    case = await new_webhook(pages)
    made = await pages.shown(case.path, case.fields, session=case.session.token)
    path = re.findall(rf'href="/account({case.path}/[0-9a-f-]{{36}})"', made.text)[0]
    return Case(case.session, path, f"{path}/secret", WEBHOOK_SECRET)


async def invitation(pages: Pages) -> Case:
    _, session = await pages.here.people.newcomer()
    path = f"/organizations/{await create_organization(pages.here.api, session)}"
    fields = {"email": "guest@example.com", "role": "member"}
    return Case(session, path, f"{path}/invitations", r"token=[A-Za-z0-9_-]{20,}", fields)


NewCase = Callable[[Pages], Awaitable[Case]]
CASES: list[NewCase] = [
    new_key,
    rotated_key,
    enrollment,
    new_codes,
    new_webhook,
    administrators_webhook,
    rotated_webhook,
    invitation,
]


def secrets_of(case: Case, answer: httpx.Response) -> list[str]:
    return re.findall(case.secret, html.unescape(answer.text))


async def nonce(pages: Pages, case: Case) -> str:
    text = (await pages.get(case.shown_at, session=case.session.token)).text
    forms = [form for form in re.split(r"(?=<form)", text) if f'action="/account{case.path}"' in form]
    return NONCE.findall(forms[0])[0]


async def read(pages: Pages, sent: httpx.Response, token: str) -> httpx.Response:
    return await pages.get(sent.headers["location"].removeprefix("/account"), session=token)


@pytest.mark.parametrize("make", CASES)
async def test_a_form_sent_twice_makes_one_secret_whose_page_can_be_reloaded(
    pages: Pages, make: NewCase
) -> None:
    case = await make(pages)
    token = case.session.token
    form = {**case.fields, "nonce": await nonce(pages, case)}
    clicks = await asyncio.gather(*(pages.post(case.path, form, session=token) for _ in range(2)))
    late = await pages.post(case.path, form, session=token)
    assert [answer.status_code for answer in (*clicks, late)] == [303, 303, 303], clicks[0].text
    assert len({answer.headers["location"] for answer in (*clicks, late)}) == 1
    first = await read(pages, late, token)
    assert first.status_code == 200
    assert first.headers["cache-control"] == "no-store"
    secrets = secrets_of(case, first)
    assert secrets
    pages.here.time.advance(minutes=9)
    assert secrets_of(case, await read(pages, late, token)) == secrets


@pytest.mark.parametrize("make", CASES)
async def test_the_page_expires_after_ten_minutes_and_is_closed_to_other_sessions(
    pages: Pages, make: NewCase
) -> None:
    case = await make(pages)
    token = case.session.token
    sent = await pages.post(case.path, case.fields, session=token)
    assert secrets_of(case, await read(pages, sent, token))
    _, stranger = await pages.here.people.newcomer()
    stolen = await read(pages, sent, stranger.token)
    assert stolen.status_code in (403, 404)
    assert not secrets_of(case, stolen)
    pages.here.time.advance(minutes=10, seconds=1)
    over = await read(pages, sent, token)
    assert over.status_code == 404
    assert "ten minutes" in over.text
    assert not secrets_of(case, over)


async def new_organization(pages: Pages) -> Case:
    _, session = await pages.here.people.newcomer()
    return Case(
        session,
        "/organizations",
        "/organizations",
        "<strong>Twice Ltd</strong>",
        {"name": "Twice Ltd", "slug": ""},
    )


async def new_service_account(pages: Pages) -> Case:
    _, session = await pages.here.people.newcomer()
    path = f"/organizations/{await create_organization(pages.here.api, session)}/service-accounts"
    return Case(
        session,
        path,
        path,
        "<strong>pipeline</strong>",
        {"name": "pipeline", "description": "", "scopes": ""},
    )


async def webhook_test(pages: Pages) -> Case:
    case = await rotated_webhook(pages)
    return Case(case.session, case.shown_at, f"{case.shown_at}/test", "<code>auth.webhook.test</code>")


async def webhook_replay(pages: Pages) -> Case:
    case = await webhook_test(pages)
    await pages.post(case.path, session=case.session.token)
    return Case(case.session, case.shown_at, f"{case.shown_at}/replay", case.secret)


@pytest.mark.parametrize("fails_to_keep", [False, True])
@pytest.mark.parametrize("make", [new_organization, new_service_account, webhook_test])
async def test_a_form_without_a_secret_sent_twice_makes_one_thing(
    pages: Pages, make: NewCase, monkeypatch: pytest.MonkeyPatch, *, fails_to_keep: bool
) -> None:
    case = await make(pages)
    token = case.session.token
    form = {**case.fields, "nonce": await nonce(pages, case)}
    if fails_to_keep:

        async def keep(*_: object) -> str:
            raise Unavailable

        monkeypatch.setattr(pages.here.runtime.idempotency, "keep", keep)
        monkeypatch.setattr(idempotent_forms, "_MAX_WAITS", 1)
        clicks = [await pages.post(case.path, form, session=token) for _ in range(2)]
        assert [answer.status_code for answer in clicks] == [303, 409]
    else:
        clicks = await asyncio.gather(*(pages.post(case.path, form, session=token) for _ in range(2)))
        assert [answer.status_code for answer in clicks] == [303, 303]
        assert clicks[0].headers["location"] == clicks[1].headers["location"]
    assert secrets_of(case, await pages.get(case.shown_at, session=token)) == [case.secret]
    another = {**form, "nonce": await nonce(pages, case)}
    monkeypatch.undo()
    assert (await pages.post(case.path, another, session=token)).status_code == 303
    assert len(secrets_of(case, await pages.get(case.shown_at, session=token))) == 2


@pytest.mark.parametrize("what", ["delivery", "since"])
async def test_a_replay_sent_twice_sends_again_once(
    pages: Pages, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await webhook_replay(pages)
    token = case.session.token
    text = (await pages.get(case.shown_at, session=token)).text
    since = f"{pages.here.time.now:%Y-%m-%dT%H:%M}"
    forms = [each for each in re.split(r"(?=<form)", text) if f'action="/account{case.path}"' in each]
    (form,) = (each for each in forms if f'name="{what}"' in each)
    delivery = re.findall(r'name="delivery" value="([^"]+)"', form)
    fields = {"since": since} if what == "since" else {"delivery": delivery[0]}
    calls = []
    replay = pages.here.runtime.webhooks.replay

    async def counted(*given: Any, **named: Any) -> object:
        calls.append(named)
        return await replay(*given, **named)

    monkeypatch.setattr(pages.here.runtime.webhooks, "replay", counted)
    for _ in range(2):
        sent = await pages.post(case.path, {**fields, "nonce": NONCE.findall(form)[0]}, session=token)
        assert sent.headers["location"] == f"/account{case.shown_at}"
    assert len(calls) == 1


async def test_each_shown_form_makes_a_secret_of_its_own(pages: Pages) -> None:
    case = await new_key(pages)
    nonces = [await nonce(pages, case) for _ in range(2)]
    assert nonces[0] != nonces[1]
    token = case.session.token
    shown = [await pages.shown(case.path, {**case.fields, "nonce": one}, session=token) for one in nonces]
    assert secrets_of(case, shown[0]) != secrets_of(case, shown[1])


async def test_a_form_that_was_sent_and_filled_in_otherwise_says_so(pages: Pages) -> None:
    case = await new_key(pages)
    form = {**case.fields, "nonce": await nonce(pages, case)}
    await pages.post(case.path, form, session=case.session.token)
    again = await pages.post(case.path, {**form, "name": "weekly"}, session=case.session.token)
    assert again.status_code == 422
    assert "already sent" in again.text
    assert 'value="weekly"' in again.text
    assert form["nonce"] not in again.text


async def test_a_refused_form_can_be_corrected_and_sent_with_the_same_nonce(pages: Pages) -> None:
    case = await new_key(pages)
    form = {**case.fields, "nonce": await nonce(pages, case)}
    wrong = await pages.post(case.path, {**form, "scopes": "wrong"}, session=case.session.token)
    assert wrong.status_code == 400
    assert secrets_of(case, await pages.shown(case.path, form, session=case.session.token))


async def test_a_wrong_first_code_keeps_the_secret_and_the_right_one_leads_to_the_codes(
    pages: Pages,
) -> None:
    case = await enrollment(pages)
    token = case.session.token
    sent = await pages.post("/enrol", session=token)
    shown = await read(pages, sent, token)
    secret = re.findall(r'id="manual-key"[^>]*>([A-Z2-7 ]+)<', shown.text)[0]
    shown_id = re.findall(r'name="shown" value="([0-9a-f-]{36})"', shown.text)[0]
    form = {"shown": shown_id, "code": "000000"}
    wrong = await pages.post("/enrol/confirm", form, session=token)
    assert wrong.status_code == 401
    assert secret in wrong.text
    assert secrets_of(case, wrong) == secrets_of(case, shown)
    assert "data:image/svg" in wrong.text
    phone = Phone(secret.replace(" ", ""), lambda: pages.here.time.now)
    right = await pages.post("/enrol/confirm", {**form, "code": phone.code()}, session=token)
    renewed = re.findall(rf"{SESSION_COOKIE}=([^;]+)", right.headers["set-cookie"])[0]
    for _ in range(2):
        codes = await read(pages, right, renewed)
        assert len(re.findall(CODES, codes.text)) == 10
    assert (await read(pages, sent, renewed)).status_code == 404


async def test_pages_of_an_enrollment_do_not_draw_its_picture_in_the_event_loops_thread(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All other requests would wait for it."""
    case = await enrollment(pages)
    token = case.session.token
    threads = note_threads(monkeypatch)
    sent = await pages.post(case.path, session=token)
    form = {"shown": sent.headers["location"].rpartition("/")[2], "code": "000000"}
    shown = [await read(pages, sent, token), await pages.post("/enrol/confirm", form, session=token)]
    assert all("data:image/svg" in page.text for page in shown)
    assert len(threads) == 2 * len(shown)
    assert threading.get_ident() not in threads


async def test_the_second_of_two_windows_with_an_enrollment_says_that_the_first_is_outdated(
    pages: Pages,
) -> None:
    case = await enrollment(pages)
    token = case.session.token
    ways = [await pages.post("/enrol", session=token) for _ in range(2)]
    first, second = [way.headers["location"].rpartition("/")[2] for way in ways]
    shown = (await read(pages, ways[1], token)).text
    secret = re.findall(SETUP_KEY, shown)[0]
    phone = Phone(secret.replace(" ", ""), lambda: pages.here.time.now)
    outdated = await pages.post("/enrol/confirm", {"shown": first, "code": phone.code()}, session=token)
    assert outdated.status_code == 409
    assert "replaced by a newer one" in outdated.text
    done = await pages.post("/enrol/confirm", {"shown": second, "code": phone.code()}, session=token)
    renewed = re.findall(rf"{SESSION_COOKIE}=([^;]+)", done.headers["set-cookie"])[0]
    late = await pages.post("/enrol/confirm", {"shown": first, "code": "123456"}, session=renewed)
    assert late.headers["location"] == "/account/security"
    notice = re.findall(r"(czo-auth\.notice=[^;]+)", late.headers["set-cookie"])[0]
    said = await pages.get("/security", cookie=f"{SESSION_COOKIE}={renewed}; {notice}")
    assert "Two-factor authentication is already on." in said.text


async def test_a_secret_of_the_organization_is_gone_for_a_member_who_left(pages: Pages) -> None:
    here = pages.here
    case = await new_webhook(pages)
    sent = await pages.post(case.path, case.fields, session=case.session.token)
    organization = case.path.split("/")[2]
    await here.api.delete(f"/organizations/{organization}", bearer=case.session.token)
    gone = await read(pages, sent, case.session.token)
    assert gone.status_code in (403, 404)
    assert not secrets_of(case, gone)
