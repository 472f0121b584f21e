"""What is hard to take back is asked once, with the name of the person (F36)."""

from __future__ import annotations

import html
import re

import pytest

from tests.contract.checks import accepted
from tests.web.conftest import Pages

ACTS = [
    ("ban", {"reason": "spam"}),
    ("reset-two-factor", {"reset_reason": "lost phone"}),
    ("delete", {"delete_reason": "asked"}),
    ("actor-types", {"actor": "admin"}),
]


def hidden_fields(text: str) -> dict[str, str]:
    form = text.partition("<main")[2].partition("</main>")[0]
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return {name: html.unescape(value) for name, value in found}


@pytest.mark.parametrize(("act", "form"), ACTS, ids=[act for act, _ in ACTS])
async def test_the_first_click_asks_by_name_and_the_second_acts(
    pages: Pages, act: str, form: dict[str, str]
) -> None:
    here = pages.here
    admin = (await here.people.sign_in(here.ada, "admin")).token
    path = f"/admin/users/{here.carol.id}"
    before = accepted(await here.api.get(path, bearer=admin))
    asked = await pages.post(f"{path}/{act}", form, session=admin)
    assert asked.status_code == 200
    user = before["user"]
    assert user["name"] in re.findall(r"<h1>([^<]+)</h1>", html.unescape(asked.text))[0]
    assert user["email"] in asked.text
    assert accepted(await here.api.get(path, bearer=admin)) == before, "nothing happened yet"
    done = await pages.post(f"{path}/{act}", hidden_fields(asked.text), session=admin)
    assert done.status_code == 303, done.text
    after = await here.api.get(path, bearer=admin)
    assert after.status_code == 404 or after.json() != before


async def test_taking_the_type_asks_and_the_last_administrator_reads_why_not(pages: Pages) -> None:
    here = pages.here
    admin = (await here.people.sign_in(here.ada, "admin")).token
    path = f"/admin/users/{here.ada.id}"
    for act, form in (("actor-types", {"actor": "customer"}), ("ban", {"reason": "mistake"})):
        asked = await pages.post(f"{path}/{act}", form, session=admin)
        assert "This is your own account." in asked.text
        refused = await pages.post(f"{path}/{act}", hidden_fields(asked.text), session=admin)
        assert refused.status_code == 409
        assert "This is the last administrator." in refused.text
    french = await pages.post(f"{path}/ban", {"reason": "x"}, session=admin, accept_language="fr")
    assert "votre propre compte" in html.unescape(french.text)


async def test_harmless_types_are_not_asked_about(pages: Pages) -> None:
    here = pages.here
    admin = (await here.people.sign_in(here.ada, "admin")).token
    path = f"/admin/users/{here.carol.id}/actor-types"
    assert (await pages.post(path, {"actor": "merchant"}, session=admin)).status_code == 303
