"""What a page says after a redirect, and who may make it say so."""

from __future__ import annotations

import httpx
import pytest

from tests.contract.api import SESSION_COOKIE
from tests.web.conftest import Pages

COOKIE = "czo-auth.notice"
SAID = '<p class="notice" role="status">'
RENAME = {"name": "Olga and Sons", "slug": ""}


async def signed_in(pages: Pages) -> str:
    _, session = await pages.here.people.newcomer()
    return session.token


async def make_organization(pages: Pages, session: str) -> tuple[str, str]:
    """Make an organization; gives where the browser is led, and the cookie of the notice."""
    led = await pages.post("/organizations", {"name": "Olga and Sons"}, session=session)
    assert led.status_code == 303
    return led.headers["location"].removeprefix("/account"), notice_of(led)


def notice_of(answer: httpx.Response) -> str:
    (cookie,) = [text for text in answer.headers.get_list("set-cookie") if text.startswith(COOKIE)]
    assert "; HttpOnly; SameSite=Lax" in cookie
    assert "; Max-Age=60;" in cookie
    return cookie.partition(";")[0]


async def shown(pages: Pages, path: str, session: str, notice: str) -> httpx.Response:
    return await pages.get(path, cookie=f"{SESSION_COOKIE}={session}; {notice}")


async def test_notice_is_shown_once_and_is_never_in_the_url(pages: Pages) -> None:
    session = await signed_in(pages)
    path, notice = await make_organization(pages, session)
    assert "?" not in path
    page = await shown(pages, path, session, notice)
    assert SAID in page.text
    assert f"{COOKIE}=; Max-Age=0;" in page.headers["set-cookie"]
    assert SAID not in (await pages.get(path, session=session)).text


@pytest.mark.parametrize(
    "query",
    [
        "done=two_factor_on",
        "done=signed_out",
        "done=user_banned&x=1",
        "notice=two_factor_on",
        "noticed=two_factor_on",
    ],
)
async def test_address_makes_no_page_say_anything(pages: Pages, query: str) -> None:
    session = await signed_in(pages)
    for path in ("/security", "/sign-in", "/organizations", "/api-keys"):
        for by in (session, None):
            assert SAID not in (await pages.get(f"{path}?{query}", session=by)).text


async def test_notice_counts_on_its_own_page_for_a_minute(pages: Pages) -> None:
    session = await signed_in(pages)
    path, notice = await make_organization(pages, session)
    for elsewhere in ("/security", "/api-keys", "/organizations"):
        assert SAID not in (await shown(pages, elsewhere, session, notice)).text
    pages.here.time.advance(seconds=61)
    late = await shown(pages, path, session, notice)
    assert SAID not in late.text
    assert "Max-Age=0" in late.headers["set-cookie"]


@pytest.mark.parametrize(
    "value", ["two_factor_on", "", "v1.k1.AAAA.AAAA", "x" * 5000, "v1.k9.AAAA.AAAA", "v1..."]
)
async def test_forged_notice_is_not_shown(pages: Pages, value: str) -> None:
    session = await signed_in(pages)
    answer = await shown(pages, "/security", session, f"{COOKIE}={value}")
    assert answer.status_code == 200
    assert SAID not in answer.text


async def test_notice_of_another_deployment_or_changed_by_a_letter_is_not_shown(pages: Pages) -> None:
    session = await signed_in(pages)
    path, notice = await make_organization(pages, session)
    name, _, value = notice.partition("=")
    middle = len(value) - 10
    changed = value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]
    assert SAID not in (await shown(pages, path, session, f"{name}={changed}")).text
