"""A brand, in code and in the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from czo_auth import Brand, Settings


@pytest.mark.parametrize(
    "given",
    [
        {"name": ""},
        {"name": "x" * 65},
        {"name": "Shop\nEvil"},
        {"name": "Shop\u202e"},
        {"accent": "blue"},
        {"logo": "http://shop.example/logo.png"},
        {"logo": "https://shop.example/logo.png'; script-src *"},
        {"logo": "https://user@shop.example/logo.png"},
        {"logo": "javascript://x"},
        {"footer_links": {"Imprint": "javascript:alert(1)"}},
        {"footer_links": {"Imprint": "/imprint"}},
        {"footer_links": {"x" * 41: "https://shop.example/"}},
        {"footer_links": [("a", "https://shop.example/")] * 11},
        {"support_address": "nobody"},
        {"support_address": "http://shop.example/help"},
    ],
)
def test_what_cannot_be_used_is_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="the brand's"):
        Brand(**given)


def test_the_environment_fills_what_the_code_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CZO_AUTH_BRAND_NAME", "Shop of the environment")
    monkeypatch.setenv("CZO_AUTH_BRAND_ACCENT", "#112233")
    links = "Imprint=https://shop.example/imprint?a=b, Help=mailto:help@shop.example"
    monkeypatch.setenv("CZO_AUTH_BRAND_FOOTER_LINKS", links)
    monkeypatch.setenv("CZO_AUTH_BRAND_SUPPORT_ADDRESS", "help@shop.example")
    monkeypatch.setenv("CZO_AUTH_BRAND_LOGO", "/srv/logo.svg")
    brand = Settings(brand=Brand(name="Shop")).shown_brand
    assert (brand.name, brand.accent) == ("Shop", "#112233")
    assert brand.links == (
        ("Imprint", "https://shop.example/imprint?a=b"),
        ("Help", "mailto:help@shop.example"),
    )
    assert brand.support_link == "mailto:help@shop.example"
    assert (brand.logo_file, brand.logo_address) == (Path("/srv/logo.svg"), None)
    assert Settings().shown_brand.name == "Shop of the environment"


def test_a_wrong_value_in_the_environment_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CZO_AUTH_BRAND_ACCENT", "blue")
    with pytest.raises(ValidationError, match="the brand's accent must be a color like #2457c5"):
        Settings()


def test_apps_and_passkeys_show_the_brand() -> None:
    policies = Settings(brand_name="Shop").policies()
    assert (policies.two_factor.issuer, policies.passkeys.rp_name) == ("Shop", "Shop")


def test_an_issuer_that_was_set_before_stays() -> None:
    policies = Settings(brand_name="Shop", totp_issuer="Old shop").policies()
    assert (policies.two_factor.issuer, policies.passkeys.rp_name) == ("Old shop", "Shop")
    alone = Settings(totp_issuer="Old shop")
    assert alone.shown_brand.name == "Old shop"
    assert alone.policies().passkeys.rp_name == "Old shop"
    assert Settings().policies().two_factor.issuer == "czo-auth"
