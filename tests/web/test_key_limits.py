"""The pages of API keys: expiry, allow-list and rate limit are asked for, shown, and only get tighter."""

from __future__ import annotations

import re
from datetime import date
from html import unescape
from urllib.parse import quote

from czo_auth.core.api_keys.usage import DayUsage
from czo_auth.core.flows.api_keys.usage import every_day
from czo_auth.web.pages.usage_chart import usage_chart
from tests.contract.acting import create_key, create_organization, listed_keys
from tests.contract.api import SESSION_COOKIE
from tests.web.conftest import Pages


async def test_a_key_is_made_with_limits_shown_and_tightened(pages: Pages) -> None:
    _, session = await pages.here.people.newcomer()
    token = session.token
    form = {
        "name": "Export",
        "expires": "7",
        "allowed_ips": "192.0.2.0/24, ::1",
        "rate_max": "5",
        "rate_window": "60",
    }
    wrong = await pages.post("/api-keys/new", {**form, "allowed_ips": "office"}, session=token)
    assert "Enter at most 20 addresses or networks" in wrong.text
    assert 'value="office"' in wrong.text
    wrong = await pages.post("/api-keys/new", {**form, "rate_max": "many"}, session=token)
    assert "Enter a whole number from 1 to 1000000" in wrong.text
    assert (await pages.post("/api-keys/new", form, session=token)).status_code == 303
    (key,) = await listed_keys(pages.here.api, session)
    assert (key["allowedIps"], key["rateLimitMax"], key["rateLimitTimeWindow"]) == (
        ["192.0.2.0/24", "::1"],
        5,
        60_000,
    )
    assert "192.0.2.0/24, ::1<br>5 requests in 60 s" in (await pages.get("/api-keys", session=token)).text
    french = (await pages.get(f"/api-keys/{key['id']}", session=token, accept_language="fr")).text
    assert "5 requêtes en 60 s" in french
    assert re.search(r'name="allowed_ips"[^>]*value="192.0.2.0/24 ::1"', french)

    change = {
        "name": "Export",
        "enabled": "1",
        "allowed_ips": "192.0.2.7",
        "rate_max": "4",
        "rate_window": "3600",
    }
    assert (await pages.post(f"/api-keys/{key['id']}", change, session=token)).status_code == 303
    for looser in ({"allowed_ips": ""}, {"allowed_ips": "::/0"}, {"rate_max": ""}, {"rate_max": "6"}):
        refused = await pages.post(f"/api-keys/{key['id']}", change | looser, session=token)
        assert refused.status_code == 400, looser
        assert re.search("can only (narrow|lower)", refused.text) or "rate_max" in looser
    (key,) = await listed_keys(pages.here.api, session)
    assert (key["allowedIps"], key["rateLimitMax"], key["rateLimitTimeWindow"]) == (
        ["192.0.2.7"],
        4,
        3_600_000,
    )


async def test_a_refused_change_of_a_key_keeps_the_boxes_as_they_were_sent(pages: Pages) -> None:
    """A scope that was unticked is removed by the second try as well; a key that was switched off stays off."""
    _, session = await pages.here.people.newcomer()
    key = await create_key(pages.here.api, session, scopes=["a:read", "a:write"], rateLimitMax=5)
    path = f"/api-keys/{key['id']}"

    def ticked(text: str) -> list[str]:
        boxes = re.findall(r'<input type="checkbox" id="[^"]+" name="(\w+)" value="([^"]+)" checked', text)
        return [value if name == "scope" else name for name, value in boxes]

    first = await pages.get(path, session=session.token)
    assert ticked(first.text) == ["a:read", "a:write", "enabled"]
    refused = await pages.post(path, {"name": "x", "scope": "a:read", "rate_max": "9"}, session=session.token)
    assert refused.status_code == 400
    assert ticked(refused.text) == ["a:read"]
    rotated = await pages.post(f"{path}/rotate", {"overlap": "x"}, session=session.token)
    assert rotated.status_code == 400
    assert ticked(rotated.text) == ["a:read", "a:write", "enabled"], "another form of the page was sent"


async def test_a_change_that_waits_for_a_proof_keeps_its_input(pages: Pages) -> None:
    account, session = await pages.here.people.newcomer()
    key = await create_key(
        pages.here.api, session, scopes=["a:read", "a:write"], quotaMax=5, quotaPeriod="day"
    )
    path = f"/api-keys/{key['id']}"
    pages.here.time.advance(minutes=11)
    form = {"name": "Nightly", "scope": "a:read", "enabled": "1", "quota_max": "6", "quota_period": "month"}
    asked = await pages.post(path, form, session=session.token)
    assert asked.headers["location"] == f"/account/reauthenticate?next={quote(path, safe='')}"
    (kept,) = re.findall(r"(czo-auth\.form=[^;]+)", str(asked.headers.get_list("set-cookie")))
    cookie = f"{SESSION_COOKIE}={session.token}; {kept}"
    proved = await pages.post(
        "/reauthenticate", {"next": path, "password": account.password}, session=None, cookie=cookie
    )
    assert proved.headers["location"] == f"/account{path}"
    (notice,) = re.findall(r"(czo-auth\.notice=[^;]+)", str(proved.headers.get_list("set-cookie")))
    shown = (await pages.get(path, cookie=f"{cookie}; {notice}")).text
    assert "Confirmed. What you typed is still here; nothing was sent." in shown
    assert 'value="Nightly"' in shown
    assert re.search(r'name="quota_max"[^>]*value="6"', shown)
    assert '<option value="month" selected>' in shown
    assert 'value="a:read" checked' in shown
    assert 'value="a:write" checked' not in shown
    assert 'name="enabled" value="1" checked' in shown
    assert (await pages.post(path, form, session=session.token)).headers["location"] == f"/account{path}"


async def test_a_form_without_a_field_for_the_proof_leads_to_the_page_that_asks_for_it(pages: Pages) -> None:
    _, session = await pages.here.people.newcomer()
    organization = await create_organization(pages.here.api, session)
    path = f"/organizations/{organization}/webhooks"
    opened = await pages.here.api.post("/device/code", {"client_id": "cli", "scope": "orders:read"})
    code = opened.json()["user_code"]
    pages.here.time.advance(minutes=11)
    for sent_to, form, back in (
        (path, {"url": "https://hooks.example.com/", "events": "*"}, path),
        ("/delete-account", {}, "/delete-account"),
        ("/email", {"email": "new@example.com"}, "/email"),
        ("/device/approve", {"user_code": code}, f"/device?user_code={code}"),
    ):
        asked = await pages.post(sent_to, form, session=session.token)
        assert asked.status_code == 303, sent_to
        assert asked.headers["location"] == f"/account/reauthenticate?next={quote(back, safe='')}"


async def test_one_request_is_in_the_singular(pages: Pages) -> None:
    _, session = await pages.here.people.newcomer()
    key = await create_key(
        pages.here.api,
        session,
        rateLimitMax=1,
        rateLimitTimeWindow=60_000,
        quotaMax=1,
        quotaPeriod="month",
    )
    for language, rate, quota in (
        ("en", "1 request in 60 s", "1 request a month"),
        ("fr", "1 requête en 60 s", "1 requête par mois"),
        ("de", "1 Anfrage in 60 s", "1 Anfrage pro Monat"),
    ):
        for path in ("/api-keys", f"/api-keys/{key['id']}"):
            text = (await pages.get(path, session=session.token, accept_language=language)).text
            assert (rate in text, quota in text) == (True, True), (language, path)


async def test_an_owner_sets_how_long_keys_of_the_organization_live(pages: Pages) -> None:
    _, session = await pages.here.people.newcomer()
    organization = await create_organization(pages.here.api, session)
    path = f"/organizations/{organization}"
    assert "Maximum lifetime" in (await pages.get(path, session=session.token)).text
    saved = await pages.post(
        f"{path}/key-lives", {"max_days": "90", "unused_days": ""}, session=session.token
    )
    assert saved.status_code == 303
    shown = unescape((await pages.get(path, session=session.token)).text)
    assert re.search(r'name="max_days"[^>]*value="90"', shown)
    assert re.search(r'name="unused_days"[^>]*value=""', shown)
    wrong = await pages.post(f"{path}/key-lives", {"max_days": "0", "unused_days": ""}, session=session.token)
    assert "Enter from 1 to 3650 days" in wrong.text


async def test_a_quota_is_set_shown_and_raised_after_reauthentication(pages: Pages) -> None:
    _, session = await pages.here.people.newcomer()
    token = session.token
    form = {"name": "Export", "expires": "7", "quota_max": "100", "quota_period": "day"}
    wrong = await pages.post("/api-keys/new", {**form, "quota_max": "0"}, session=token)
    assert "Enter a whole number from 1 to 1000000000" in wrong.text
    wrong = await pages.post("/api-keys/new", {**form, "quota_period": "week"}, session=token)
    assert wrong.status_code == 400
    assert (await pages.post("/api-keys/new", form, session=token)).status_code == 303
    (key,) = await listed_keys(pages.here.api, session)
    assert (key["quotaMax"], key["quotaPeriod"]) == (100, "day")
    path = f"/api-keys/{key['id']}"
    assert "100 requests a day" in (await pages.get("/api-keys", session=token)).text
    shown = (await pages.get(path, session=token)).text
    assert re.search(r'name="quota_max"[^>]*value="100"', shown)
    assert '<option value="day" selected>' in shown
    pages.here.time.advance(minutes=11)
    change = {"name": "Export", "enabled": "1", "quota_max": "90", "quota_period": "month"}
    assert (await pages.post(path, change, session=token)).headers["location"] == f"/account{path}"
    for more in ({"quota_max": "91"}, {"quota_max": ""}, {"quota_period": "day"}):
        asked = await pages.post(path, change | more, session=token)
        assert asked.headers["location"].startswith("/account/reauthenticate?next="), more
    (key,) = await listed_keys(pages.here.api, session)
    assert (key["quotaMax"], key["quotaPeriod"]) == (90, "month")


async def test_uses_are_drawn_and_reported_in_a_table(pages: Pages) -> None:
    _, session = await pages.here.people.newcomer()
    api, time = pages.here.api, pages.here.time
    key = await create_key(api, session, rateLimitMax=2, rateLimitTimeWindow=60_000)
    path = f"/api-keys/{key['id']}"
    empty = (await pages.get(path, session=session.token)).text
    assert "The key was not used in the last 30 days." in empty
    assert "<figure" not in empty
    for _ in range(3):
        await api.get("/whoami", bearer=key["key"])
    time.advance(days=2)
    await api.get("/whoami", bearer=key["key"])
    await pages.here.runtime._housekeeping.flush_key_uses()
    answer = await pages.get(path, session=session.token)
    shown = unescape(answer.text)
    assert "3 accepted, 1 refused." in shown
    assert "6 Mar 2025: 2 accepted, 1 refused" in shown
    row = '<th scope="row"><time datetime="2025-03-06">6 Mar 2025</time></th><td>2</td><td>1</td>'
    assert row in shown
    assert shown.rindex("2025-03-08") < shown.rindex("2025-03-06")
    # The policy of the page allows neither; the two kinds differ by pattern and not by color alone.
    assert "style=" not in shown
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert shown.count('class="refused" fill="url(#usage-hatch)"') == 2
    assert "<code>127.0.0.0/24</code>" in shown
    german = unescape((await pages.get(path, session=session.token, accept_language="de")).text)
    assert "6. März 2025" in german or "6. Mär 2025" in german
    bars = usage_chart(every_day([], last=time.now.date(), days=30))
    assert (len(bars.bars), bars.highest, bars.active_days) == (30, 0, [])


async def test_keys_that_nobody_used_for_a_while_are_filtered(pages: Pages) -> None:
    _, session = await pages.here.people.newcomer()
    await create_key(pages.here.api, session, name="old key")
    pages.here.time.advance(days=6)
    token = session.token
    assert "old key" in (await pages.get("/api-keys", session=token)).text
    filtered = await pages.get("/api-keys?unused=30", session=token)
    assert "No key has been unused for that long." in filtered.text
    assert '<option value="30" selected>' in filtered.text
    assert "old key" in (await pages.get("/api-keys?unused=5", session=token)).text
    assert (await pages.get("/api-keys?unused=x", session=token)).status_code == 400


def test_bars_stay_within_the_chart_and_every_use_is_seen() -> None:
    days = [
        DayUsage(day=date(2026, 1, 1), used=1_000_000, refused=0),
        DayUsage(day=date(2026, 1, 2), used=1, refused=1),
        DayUsage(day=date(2026, 1, 3), used=500_000, refused=500_000),
        DayUsage(day=date(2026, 1, 4), used=999_999, refused=1),
    ]
    chart = usage_chart(days)
    for bar in chart.bars:
        assert bar.refused_y >= 0
        assert bar.x + bar.width <= chart.width
        assert (bar.used_height > 1) is bool(bar.used)
        assert (bar.refused_height > 1) is bool(bar.refused)
