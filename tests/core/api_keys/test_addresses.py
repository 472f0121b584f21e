"""Allow-lists: one stored form, and which addresses are on it."""

from __future__ import annotations

import pytest

from czo_auth.core.api_keys.addresses import admits, canonical_address, canonical_allow_list, is_within
from czo_auth.core.errors import ValidationFailed


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (["192.0.2.7"], ("192.0.2.7",)),
        (["192.0.2.7/32", "192.0.2.7"], ("192.0.2.7",)),
        (["2001:DB8:0:0::1"], ("2001:db8::1",)),
        (["10.0.0.0/255.0.0.0"], ("10.0.0.0/8",)),
        (["::ffff:192.0.2.7"], ("192.0.2.7",)),
        (["::ffff:192.0.2.0/120"], ("192.0.2.0/24",)),
        (["::ffff:0:0/96"], ("0.0.0.0/0",)),
        (["2001:db8::/32", "10.0.0.0/8", "2001:db8::/33"], ("10.0.0.0/8", "2001:db8::/32", "2001:db8::/33")),
    ],
)
def test_list_is_stored_in_one_form(given: list[str], stored: tuple[str, ...]) -> None:
    assert canonical_allow_list(given) == stored
    assert canonical_allow_list(stored) == stored


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "localhost", "10.0.0", "10.0.0.256", "10.0.0.07", "10.0.0.1/33", "10.0.0.1/24", "::1/0"),
        *(
            "fe80::1%eth0",
            "1.2.3.4 ",
            "١.2.3.4",
            "1.2.3.4/٢",
            "3232235777",
            "0x7f.0.0.1",
            "::/129",
            "10.0.0.0/0.0.0.255",
            "10.0.0.0/0.255.255.255",
            "10.0.0.0/",
            "1" * 100,
        ),
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        canonical_allow_list(["10.0.0.1", text])
    ((field, sentence),) = caught.value.details
    assert field == "allowedIps"
    assert not text.strip() or text not in sentence


def test_list_has_from_one_to_twenty_entries() -> None:
    assert len(canonical_allow_list([f"192.0.2.{number}" for number in range(20)])) == 20
    for wrong in ([], [f"192.0.2.{number}" for number in range(21)]):
        with pytest.raises(ValidationFailed):
            canonical_allow_list(wrong)


@pytest.mark.parametrize(
    ("address", "admitted"),
    [
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("::ffff:192.0.2.7", True),
        ("::ffff:192.0.2.8", False),
        ("2001:db8:1::5", True),
        ("2001:db9::5", False),
        ("::c000:207", False),
        ("nonsense", False),
        ("", False),
        (None, False),
    ],
)
def test_address_is_compared_in_its_canonical_form(address: str | None, admitted: bool) -> None:
    assert admits(("192.0.2.7", "2001:db8::/32"), address) is admitted


def test_all_of_ipv6_holds_no_ipv4() -> None:
    assert not admits(("::/0",), "192.0.2.7")
    assert not admits(("::/0",), "::ffff:192.0.2.7")
    assert admits(("0.0.0.0/0",), "::ffff:192.0.2.7")


@pytest.mark.parametrize(
    ("narrow", "wide", "within"),
    [
        (("10.1.0.0/16",), ("10.0.0.0/8",), True),
        (("10.0.0.0/8",), ("10.1.0.0/16",), False),
        (("10.0.0.0/24",), ("10.0.0.0/25", "10.0.0.128/25"), True),
        (("10.0.0.1", "::1"), ("10.0.0.0/8",), False),
        (("::1",), ("::/0", "10.0.0.0/8"), True),
    ],
)
def test_narrower_list_is_within_the_wider_one(
    narrow: tuple[str, ...], wide: tuple[str, ...], within: bool
) -> None:
    assert is_within(narrow, wide) is within


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("::FFFF:192.0.2.7", "192.0.2.7"), ("2001:DB8::1", "2001:db8::1"), ("fe80::1%1", None), ("x", None)],
)
def test_one_address_is_written_canonically(text: str, canonical: str | None) -> None:
    assert canonical_address(text) == canonical


def test_address_has_one_form() -> None:
    assert canonical_address("192.0.2.7") == "192.0.2.7"
    assert canonical_address("::ffff:192.0.2.7") == "192.0.2.7"
    assert canonical_address("2001:DB8::0:1") == "2001:db8::1"
    assert canonical_address("fe80::1%eth0") is None
    assert canonical_address("localhost") is None


def test_bits_behind_the_prefix_are_distinguished() -> None:
    with pytest.raises(ValidationFailed) as caught:
        canonical_allow_list(["10.0.0.1/24"])
    assert "behind its prefix length" in caught.value.details[0][1]


def test_refusal_shows_what_an_address_looks_like() -> None:
    with pytest.raises(ValidationFailed) as caught:
        canonical_allow_list(["localhost"])
    assert caught.value.details[0][1].endswith(", or a network like 192.0.2.0/24 or 2001:db8::/32.")
