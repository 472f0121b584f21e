"""Cookies under another prefix and for a whole domain (RFC 6265bis sections 4.1.2.3 and 4.1.3)."""

from __future__ import annotations

from typing import Any

import pytest
from httpx import Headers
from pydantic import ValidationError

from czo_auth import Settings
from tests.contract.api import cookies_set_by
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy

NAMES = {
    ("https", "shop", None): "__Secure-shop.",
    ("https", "__Host-shop", None): "__Host-shop.",
    ("https", "shop", "example.test"): "__Secure-shop.",
    ("http", "shop", None): "shop.",
}


@pytest.mark.parametrize(("scheme", "prefix", "domain"), NAMES)
async def test_cookies_are_named_set_read_and_cleared_alike(
    deploy_sqlite: Deploy, scheme: str, prefix: str, domain: str | None
) -> None:
    start = NAMES[scheme, prefix, domain]
    origin = f"{scheme}://auth.example.test"
    here = await deploy_sqlite(base_url=origin, cookie_prefix=prefix, cookie_domain=domain)
    answer = await here.people.begin(await here.people.sign_up())
    if domain is not None:
        # Before it is set for the domain, it is removed where the host alone had set it.
        older, *others = answer.headers.get_list("set-cookie")
        assert older.startswith(f"{start}session_token=; Max-Age=0; Path=/")
        answer.headers = Headers([("set-cookie", each) for each in others])
    cookies = cookies_set_by(answer)
    assert cookies.keys() == {f"{start}session_token", f"{start}known_browser"}
    challenged = cookies_set_by(await here.people.begin(here.carol))
    assert challenged.keys() >= {f"{start}two_factor"}
    session = cookies[f"{start}session_token"]
    for cookie in [*cookies.values(), challenged[f"{start}two_factor"]]:
        assert cookie.attributes.get("domain") == domain
        assert cookie.attributes["path"] == "/"
        assert ("secure" in cookie.attributes) == (scheme == "https")
    sent = {session.name: session.value}
    accepted(await here.api.get("/session", cookies=sent))
    refused(
        await here.api.get("/session", cookies={"better-auth.session_token": session.value}),
        401,
        "UNAUTHORIZED",
    )
    # Another host of the domain gets the cookie, and is another origin all the same.
    for stranger in ("https://evil.example.test", f"{origin}.evil.test", None):
        answer = await here.api.post("/sign-out", {}, cookies=sent, origin=stranger)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        accepted(await here.api.get("/session", cookies=sent))
    answer = await here.api.post("/sign-out", {}, cookies=sent, origin=origin)
    cleared = cookies_set_by(answer)[session.name]
    assert (cleared.value, cleared.attributes["max-age"]) == ("", "0")
    assert cleared.attributes.get("domain") == domain
    refused(await here.api.get("/session", cookies=sent), 401, "INVALID_TOKEN")


async def test_a_cookie_of_the_host_alone_is_removed_once_there_is_a_domain(deploy_sqlite: Deploy) -> None:
    here = await deploy_sqlite(base_url="https://auth.example.test", cookie_domain="example.test")
    answer = await here.people.begin(await here.people.sign_up())
    lines = [line for line in answer.headers.get_list("set-cookie") if ".session_token=" in line]
    assert "Max-Age=0; Path=/" in lines[0]
    assert "Domain" not in lines[0]
    assert "Domain=example.test" in lines[1]
    assert "=czs_" in lines[1]


@pytest.mark.parametrize(
    "given",
    [
        {"cookie_prefix": ""},
        {"cookie_prefix": "shop;"},
        {"cookie_prefix": "shop.x"},
        {"cookie_prefix": "__Secure-shop"},
        {"cookie_prefix": "__Host-"},
        {"cookie_prefix": "__Host-shop", "base_url": "http://auth.example.test"},
        {"cookie_prefix": "__Host-shop", "cookie_domain": "example.test"},
        {"cookie_domain": "other.test"},
        {"cookie_domain": "xample.test"},
        {"cookie_domain": "test"},
        {"cookie_domain": "login.auth.example.test"},
        {"cookie_domain": "example.test; Secure"},
        {"cookie_domain": "192.0.2.7", "base_url": "https://192.0.2.7"},
    ],
)
def test_names_and_domains_that_browsers_drop_stop_the_start(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**{"base_url": "https://auth.example.test", **given})


def test_a_leading_dot_means_nothing() -> None:
    found = Settings(base_url="https://auth.example.test", cookie_domain=".example.test")
    assert found.cookie_domain == "example.test"
