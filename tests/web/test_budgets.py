"""What pages weigh: a page's HTML, and a first visit with everything that it loads."""

from __future__ import annotations

import html
import re

import pytest

from czo_auth.core.context import system_context
from tests.contract.acting import create_key
from tests.web.conftest import Pages

MAX_HTML = 30_000
MAX_VISIT = 60_000
"""Units: bytes over the wire."""

MAX_REQUESTS = 6


async def loaded_by(pages: Pages, text: str) -> dict[str, int]:
    """Load what a page refers to, as a browser does; gives the bytes of each over the wire."""
    found = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(/[^"]+)"', text)
    weights = {}
    for address in {html.unescape(each) for each in found}:
        request = pages.http.build_request("GET", address, headers={"accept-encoding": "gzip"})
        answer = await pages.http.send(request, stream=True)
        weights[address] = sum([len(part) async for part in answer.aiter_raw()])
        assert answer.status_code == 200
        await answer.aclose()
    return weights


@pytest.mark.parametrize("path", ["/sign-in", "/sign-up", "/security", "/admin/users"])
async def test_a_first_visit_is_light(pages: Pages, path: str) -> None:
    admin = (await pages.here.people.sign_in(pages.here.ada, "admin")).token
    session = None if path.startswith("/sign") else admin
    text = (await pages.get(path, session=session)).text
    weights = await loaded_by(pages, text)
    assert len(weights) + 1 <= MAX_REQUESTS, weights
    assert len(text.encode()) + sum(weights.values()) <= MAX_VISIT, weights


async def test_a_static_file_is_sent_plain_to_those_who_do_not_take_gzip(pages: Pages) -> None:
    text = (await pages.get("/sign-in")).text
    address = re.findall(r'href="(/account/static/style.css[^"]+)"', text)[0]
    plain = await pages.http.get(address, headers={"accept-encoding": "gzip;q=0"})
    packed = await pages.http.get(address, headers={"accept-encoding": "br, gzip"})
    assert plain.headers.get("content-encoding") is None
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.text == packed.text
    assert (await pages.get("/sign-in", accept_encoding="gzip")).headers.get("content-encoding") is None


async def test_no_page_is_heavy_when_its_lists_are_full(pages: Pages) -> None:
    here = pages.here
    person, session = await here.people.newcomer()
    for _ in range(32):
        await create_key(here.api, session, name="a name of several words")
    for number in range(32):
        name = f"{number} {'long name ' * 8}"
        await pages.post("/security/profile", {"name": name}, session=session.token)
    for number in range(32):
        await here.runtime.administer_accounts.create(
            email=f"person-with-a-long-address-{number}@long.example.com",
            name="A Name of Several Words",
            actor_types=("merchant",),
            context=system_context(here.time.now),
        )
    admin = (await here.people.sign_in(here.ada, "admin")).token
    own = ["/security", "/activity", "/api-keys", "/api-keys/new", "/organizations", "/delete-account"]
    administration = ["/admin", "/admin/users", "/admin/api-keys", "/admin/audit", "/admin/events"]
    administration += ["/admin/organizations", f"/admin/users/{person.id}", "/admin/webhooks"]
    weights = {}
    for paths, token in ((own, session.token), (administration, admin)):
        for path in paths:
            answer = await pages.get(path, session=token)
            assert answer.status_code == 200, path
            weights[path] = len(answer.content)
    assert not {path: weight for path, weight in weights.items() if weight > MAX_HTML}, weights
