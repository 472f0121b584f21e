"""Origins compare as browsers write them, and in development every name of this machine counts as own."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from czo_auth import Settings
from czo_auth.asgi.origins import Origins
from czo_auth.core.errors import InvalidOrigin
from czo_auth.core.limits import MAX_LOGGED_ORIGINS
from czo_auth.core.origins import canonical_origin


def request(origin: str, *, host: str = "localhost:8000", port: int | None = 8000) -> dict[str, Any]:
    headers = [(b"origin", origin.encode("latin-1")), (b"host", host.encode())]
    return {"type": "http", "scheme": "http", "server": ("127.0.0.1", port), "headers": headers}


@pytest.mark.parametrize(
    ("written", "by_browsers"),
    [
        ("https://auth.example.com:443", "https://auth.example.com"),
        ("https://auth.example.com:0443/", "https://auth.example.com"),
        ("http://auth.example.com:80/", "http://auth.example.com"),
        ("HTTPS://Auth.Example.COM", "https://auth.example.com"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example:8443", "https://xn--bcher-kva.example:8443"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://[2001:DB8:0:0::1]:443", "https://[2001:db8::1]"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_base_url_and_trusted_origins_may_be_written_in_any_way(written: str, by_browsers: str) -> None:
    assert canonical_origin(written) == by_browsers
    for origins in (Origins(written, []), Origins("https://other.example", [written])):
        origins.check_cookie_request(request(by_browsers))
        with pytest.raises(InvalidOrigin):
            origins.check_cookie_request(request(by_browsers.replace("example", "evil") + "1"))


@pytest.mark.parametrize("pattern", ["https://*.BÜCHER.example:443", "https://*.xn--bcher-kva.example/"])
def test_pattern_is_compared_in_the_same_form(pattern: str) -> None:
    origins = Origins("https://auth.example", [pattern])
    assert origins.trusts("https://a.b.xn--bcher-kva.example")
    assert origins.trusts("https://A.xn--bcher-kva.example:443")
    for stranger in (
        "https://a.bücher.example",
        "https://xn--bcher-kva.example",
        "http://a.xn--bcher-kva.example",
        "https://a.example",
    ):
        assert not origins.trusts(stranger)


@pytest.mark.parametrize(
    "text",
    ["shop.example", "*", "https://", "https://a b.example", "https://shop.example/path", "//shop.example"],
)
def test_invalid_trusted_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="trusted_origins") as refusal:
        Settings(trusted_origins=(text,))
    assert "must be origins" in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        *("https://*", "http://*", "HTTPS://*:8443", "https://*.*", "https://shop-*", "https://**"),
        *("https://*.com", "https://*.COM./", "https://*..com", "http://*.com:8080", "https://a.*.com"),
        *("https://shop.*:8443", "https://*shop.com", "http://192.168.1.*:3000", "https://*.xn--p1ai"),
    ],
)
def test_pattern_that_matches_any_site_is_refused(text: str) -> None:
    """Pages of everybody could use the cookies of everybody who visits them."""
    with pytest.raises(ValueError, match="trusted_origins") as refusal:
        Settings(trusted_origins=("https://shop.example", text))
    assert "must not hold a pattern that matches any site" in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "https://*.example.com",
            "https://*.example",
            "https://*.shop.example:8443",
            "https://*-preview.example.com",
        ),
        *("https://preview-*.example.com", "https://a.*.example.com", "http://*.localhost:3000"),
        *("https://*.internal", "capacitor://localhost", "moz-extension://*", "http://[::1]:3000"),
    ],
)
def test_pattern_below_a_domain_is_taken(text: str) -> None:
    assert Settings(trusted_origins=(text,)).trusted_origins == (text,)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "https://ada@auth.example",
            "https://u:p@auth.example",
            "https://*.example.com",
            "https://auth.example:99999",
        ),
        *(
            "https://auth.example:abc",
            "https://[::1",
            "https://auth.example/x",
            "https://auth.example?",
            "auth.example",
        ),
    ],
)
def test_base_url_that_no_browser_would_send_is_refused(text: str) -> None:
    """Every form would be refused, and nothing say why."""
    with pytest.raises(ValueError, match="base_url") as refusal:
        Settings(base_url=text)
    assert "must be like https://auth.example.com, without a path" in str(refusal.value)


LOCAL = ["http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000", "https://localhost:8000"]


@pytest.mark.parametrize("origin", LOCAL)
def test_every_name_of_this_machine_is_own_in_development(origin: str) -> None:
    assert Origins("http://localhost:8000", [], is_development=True).trusts(origin, request(origin))


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.2:8000",
        "http://127.9.9.9:8000",
        "http://shop.localhost:8000",
        "http://a.b.localhost:8000",
    ],
)
def test_further_loopback_addresses_and_names_are_own_on_the_port_that_was_asked(origin: str) -> None:
    """Source: RFC 6761 section 6.3 for names, RFC 1122 section 3.2.1.3 for addresses."""
    local = Origins("http://localhost:8000", [], is_development=True)
    assert local.trusts(origin, request(origin, port=8000))
    assert not local.trusts(origin, request(origin, host="shop.test", port=9000)), (
        "another server on this machine"
    )
    assert not Origins("http://localhost:8000", []).trusts(origin, request(origin, port=8000))
    for stranger in (
        f"{origin[:-5]}.evil.example:8000",
        "http://localhost.example:8000",
        "http://128.0.0.1:8000",
    ):
        assert not local.trusts(stranger, request(stranger, port=8000))


@pytest.mark.parametrize("server_port", [9001, None])
def test_port_that_the_request_came_to_is_own_in_development(server_port: int | None) -> None:
    """As with uvicorn on another port and no base URL."""
    origins = Origins("http://localhost:8000", [], is_development=True)
    host = "127.0.0.1:9001" if server_port is None else "shop.test"
    for origin in ("http://localhost:9001", "http://127.0.0.1:9001"):
        assert origins.trusts(origin, request(origin, host=host, port=server_port))
    for stranger in ("http://localhost:9002", "http://shop.test:9001", "http://localhost.evil.example:9001"):
        assert not origins.trusts(stranger, request(stranger, host=host, port=server_port))


def test_production_and_foreign_base_urls_trust_one_name_only() -> None:
    production = Origins("http://127.0.0.1:8000", [])
    assert production.trusts("http://localhost:8000", request(""))
    assert not production.trusts("http://[::1]:8000", request(""))
    assert not production.trusts("http://localhost:9001", request("", port=9001))
    foreign = Origins("https://auth.example", [], is_development=True)
    assert not foreign.trusts("http://localhost:8000", request(""))


def test_refused_origin_is_logged_once_with_the_expected_ones(caplog: pytest.LogCaptureFixture) -> None:
    origins = Origins("https://auth.example", ["https://shop.example"])
    with caplog.at_level(logging.WARNING, "czo_auth"):
        for _ in range(3):
            with pytest.raises(InvalidOrigin):
                origins.check_cookie_request(request("https://evil.example\x1b[2J"))
        assert len(caplog.records) == 1
        for part in (
            "https://evil.example",
            "https://auth.example",
            "https://shop.example",
            "CZO_AUTH_BASE_URL",
        ):
            assert part in caplog.text
        assert "\x1b" not in caplog.text
        for number in range(2 * MAX_LOGGED_ORIGINS):
            with pytest.raises(InvalidOrigin):
                origins.check_cookie_request(request(f"https://evil-{number}.example"))
    assert len(caplog.records) == MAX_LOGGED_ORIGINS


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0.0.0.0", "::"])
def test_base_url_on_this_machine_is_localhost(host: str) -> None:
    assert Settings(host=host, port=8123).public_url == "http://localhost:8123"


def test_base_url_on_another_address_is_that_address() -> None:
    assert Settings(host="192.0.2.4").public_url == "http://192.0.2.4:8000"
    assert Settings(host="2001:db8::4").public_url == "http://[2001:db8::4]:8000"
