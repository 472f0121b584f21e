"""Which relying party passkeys belong to, and which origins may use them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from czo_auth import ActorType, Settings
from czo_auth.core.actors import ActorRegistry, Grants
from czo_auth.core.passkeys.policy import PasskeyPolicy


def policy(base_url: str, **more: Any) -> PasskeyPolicy:
    return Settings(base_url=base_url, **more).policies().passkeys


@pytest.mark.parametrize(
    ("base_url", "rp_id"),
    [
        ("https://auth.shop.example", "auth.shop.example"),
        ("https://AUTH.Shop.example:8443", "auth.shop.example"),
        ("http://127.0.0.1:8000", "localhost"),
        ("http://127.9.9.9:8000", "localhost"),
        ("http://[::1]:8000", "localhost"),
        ("http://localhost:8000", "localhost"),
        ("http://192.0.2.7", None),
        ("https://[2001:db8::7]", None),
    ],
)
def test_relying_party_is_the_host_of_the_base_url(base_url: str, rp_id: str | None) -> None:
    assert policy(base_url).rp_id == rp_id


@pytest.mark.parametrize("rp_id", ["shop.example", "auth.shop.example"])
def test_domain_above_the_host_may_be_chosen(rp_id: str) -> None:
    assert policy("https://auth.shop.example", passkey_rp_id=rp_id).rp_id == rp_id


@pytest.mark.parametrize(
    ("base_url", "rp_id"),
    [
        ("https://auth.shop.example", "www.shop.example"),
        ("https://auth.shop.example", "op.example"),
        ("https://auth.shop.example", "example"),
        ("https://auth.shop.example", "localhost"),
        ("https://auth.shop.example", "https://shop.example"),
        ("https://auth.shop.example", ""),
        ("http://192.0.2.7", "0.2.7"),
        ("http://192.0.2.7", "192.0.2.7"),
        ("http://127.0.0.1:8000", "shop.example"),
    ],
)
def test_another_relying_party_stops_the_start(base_url: str, rp_id: str) -> None:
    with pytest.raises(ValidationError):
        Settings(base_url=base_url, passkey_rp_id=rp_id)


def test_origins_are_the_public_one_and_trusted_ones_within_the_relying_party() -> None:
    trusted = "https://*.shop.example,https://other.example,http://localhost:3000"
    found = policy("https://auth.shop.example", passkey_rp_id="shop.example", trusted_origins=trusted)
    for origin in ("https://auth.shop.example", "https://www.shop.example", "https://a.b.shop.example"):
        assert found.accepts_origin(origin), origin
    for origin in (
        *("https://other.example", "http://localhost:3000", "http://auth.shop.example"),
        *("https://auth.shop.example:444", "https://auth.shop.example/", "https://evilshop.example"),
        *(
            "https://auth.shop.example.evil.example",
            "HTTPS://AUTH.SHOP.EXAMPLE",
            "null",
            "",
            "https://auth.shop.example\n",
        ),
    ):
        assert not found.accepts_origin(origin), origin


def test_actor_type_says_which_factor_it_demands() -> None:
    registry = ActorRegistry(
        (
            ActorType(name="customer"),
            ActorType(name="merchant", requires_two_factor=True),
            ActorType(name="admin", two_factor="phishing_resistant", administers=True),
        )
    )
    with pytest.raises(ValueError, match="two_factor"):
        ActorType(name="clerk", two_factor="phishing")  # type: ignore[arg-type]
    assert registry.get("merchant").two_factor == "required"
    assert registry.get("admin").requires_two_factor

    def must_enroll(name: str, *, totp: bool = False, passkey: bool = False) -> bool:
        now = datetime(2026, 7, 1, tzinfo=UTC)
        return registry.must_enroll(
            {name}, Grants(now), owns_factor=totp or passkey, has_passkey=passkey, now=now
        )

    assert [must_enroll(name) for name in ("customer", "merchant", "admin")] == [False, True, True]
    assert [must_enroll(name, totp=True) for name in ("customer", "merchant", "admin")] == [
        False,
        False,
        True,
    ]
    assert not any(must_enroll(name, passkey=True) for name in ("customer", "merchant", "admin"))
