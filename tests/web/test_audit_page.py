"""The audit page names people, says when to the second, and is narrowed by person and action (F41)."""

from __future__ import annotations

import re

from tests.web.conftest import Pages


async def banned(pages: Pages) -> str:
    """Ban somebody; gives the administrator's session."""
    here = pages.here
    admin = (await here.people.sign_in(here.ada, "admin")).token
    ban = f"/admin/users/{here.carol.id}/ban"
    await pages.post(ban, {"reason": "<b>spam</b>", "confirmed": "1"}, session=admin)
    return admin


def rows(text: str) -> list[str]:
    return re.findall(r"<tr><td>.*?(?=<tr>|</table>)", text, re.DOTALL)


async def test_records_show_seconds_and_details(pages: Pages) -> None:
    text = (await pages.get("/admin/audit", session=await banned(pages))).text
    assert re.search(r">\d+ [A-Z][a-z]{2} \d{4}, \d\d:\d\d:\d\d UTC</time>", text)
    assert "spam" in text
    assert "<b>spam" not in text


async def test_records_name_who_acted_and_whom_it_was_about(pages: Pages) -> None:
    here = pages.here
    (row,) = rows((await pages.get("/admin/audit?action=auth.user.banned", session=await banned(pages))).text)
    for person in (here.ada, here.carol):
        assert f'href="/account/admin/users/{person.id}"' in row
        assert person.email in row


async def test_the_log_is_narrowed_to_a_person_by_address_or_id_whether_they_acted_or_not(
    pages: Pages,
) -> None:
    here, admin = pages.here, await banned(pages)
    for query in (here.carol.email, here.carol.id):
        shown = rows((await pages.get(f"/admin/audit?user={query}", session=admin)).text)
        assert shown
        assert all(here.carol.id in row for row in shown)
    acted = (await pages.get(f"/admin/audit?user={here.ada.email}", session=admin)).text
    assert "auth.user.banned" in "".join(rows(acted))
    unknown = await pages.get("/admin/audit?user=nobody@example.org", session=admin)
    assert (unknown.status_code, "No account has this address." in unknown.text) == (400, True)


async def test_every_action_can_be_chosen_and_an_empty_answer_leads_back(pages: Pages) -> None:
    admin = (await pages.here.people.sign_in(pages.here.ada, "admin")).token
    text = (await pages.get("/admin/audit?action=auth.org.deleted", session=admin)).text
    assert "<option selected>auth.org.deleted" in text
    assert not rows(text)
    assert 'href="/account/admin/audit">Clear the filters</a>' in text
