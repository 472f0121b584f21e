"""Which pages may use the passkeys of a deployment."""

from __future__ import annotations

from datetime import timedelta

import pytest

from czo_auth.core.passkeys.policy import PasskeyPolicy, is_ip_address, is_within, passkey_origins


def accepts(
    rp_id: str | None,
    origin: str,
    *,
    public_url: str = "https://auth.shop.example",
    trusted: tuple[str, ...] = (),
) -> bool:
    policy = PasskeyPolicy(rp_id=rp_id, origins=passkey_origins(public_url, trusted))
    return policy.accepts_origin(origin)


def test_nothing_is_accepted_without_settings() -> None:
    policy = PasskeyPolicy()
    assert (policy.rp_id, policy.rp_name, policy.ceremony_lifetime) == (
        None,
        "czo-auth",
        timedelta(minutes=5),
    )
    for origin in ("https://shop.example", "", "https://czo-auth"):
        assert policy.accepts_origin(origin) is False
        assert PasskeyPolicy(rp_id="shop.example").accepts_origin(origin) is False


@pytest.mark.parametrize(
    ("origin", "is_accepted"),
    [
        ("https://auth.shop.example", True),
        ("https://app.shop.example", True),
        ("https://shop.example", False),
        ("https://other.example", False),
        ("https://auth.shop.example.evil.example", False),
        ("http://auth.shop.example", False),
    ],
)
def test_own_and_trusted_origins_within_the_relying_party_are_accepted(
    origin: str, is_accepted: bool
) -> None:
    trusted = ("https://app.shop.example", "https://other.example")
    assert accepts("shop.example", origin, trusted=trusted) is is_accepted
    assert accepts(None, origin, trusted=trusted) is False


def test_relying_party_localhost_takes_pages_of_this_machine() -> None:
    here = "http://127.0.0.1:8000"
    assert accepts("localhost", "http://localhost:8000", public_url=here) is True
    assert accepts("localhost", here, public_url=here) is True
    assert accepts("localhost", "http://localhost:8001", public_url=here) is False
    assert accepts("shop.example", "http://localhost:8000", public_url=here) is False
    assert accepts("localhost", "https://auth.shop.example") is False
    assert accepts("shop.example", "http://localhost:443") is False


@pytest.mark.parametrize(
    ("host", "is_address"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("[::1]", True),
        ("shop.example", False),
        ("localhost", False),
        ("1.2.3", False),
    ],
)
def test_address_is_told_from_a_name(host: str, is_address: bool) -> None:
    assert is_ip_address(host) is is_address


@pytest.mark.parametrize(
    ("host", "rp_id", "within"),
    [
        ("shop.example", "shop.example", True),
        ("a.b.shop.example", "shop.example", True),
        ("myshop.example", "shop.example", False),
        ("example", "shop.example", False),
        ("127.0.0.1", "0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
    ],
)
def test_host_is_within_a_relying_party_of_its_name_or_one_above(host: str, rp_id: str, within: bool) -> None:
    assert is_within(host, rp_id) is within
