"""The audit page says when to the second, and what is known of each record (F41)."""

from __future__ import annotations

import re

from tests.web.conftest import Pages


async def test_records_show_seconds_and_details(pages: Pages) -> None:
    here = pages.here
    admin = (await here.people.sign_in(here.ada, "admin")).token
    ban = f"/admin/users/{here.carol.id}/ban"
    await pages.post(ban, {"reason": "<b>spam</b>", "confirmed": "1"}, session=admin)
    text = (await pages.get("/admin/audit", session=admin)).text
    assert re.search(r">\d+ [A-Z][a-z]{2} \d{4}, \d\d:\d\d:\d\d UTC</time>", text)
    assert "spam" in text
    assert "<b>spam" not in text
