"""The pages of API keys: expiry, allow-list and rate limit are asked for, shown, and only get tighter."""

from __future__ import annotations

import re
from html import unescape

from tests.contract.acting import found, listed_keys
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


async def test_an_owner_sets_how_long_keys_of_the_organization_live(pages: Pages) -> None:
    _, session = await pages.here.people.newcomer()
    organization = await found(pages.here.api, session)
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
