"""Who a request comes from, in every form that proxies write it."""

from __future__ import annotations

from typing import Any

import pytest

from czo_auth.asgi.clients import Clients

TRUSTED = ("127.0.0.0/8", "10.0.0.0/8", "fd00::/8")


def scope(*forwarded: str, peer: str = "127.0.0.1") -> dict[str, Any]:
    headers = [(b"x-forwarded-for", text.encode("latin-1")) for text in forwarded]
    return {"client": (peer, 1), "headers": headers}


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:51234", "203.0.113.9"),
        ("[2001:db8::9]:443", "2001:db8::9"),
        ("[2001:db8::9]", "2001:db8::9"),
        ("2001:db8::9", "2001:db8::9"),
        ('"[2001:db8::9]:47011"', "2001:db8::9"),
        ("fe80::9%eth0", "fe80::9"),
        ("[fe80::9%eth0]:80", "fe80::9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:1", "203.0.113.9"),
        ("198.51.100.1:1, 203.0.113.9:51234, 10.0.0.3:99", "203.0.113.9"),
        ("203.0.113.9 , ,", "203.0.113.9"),
        ("203.0.113.9,[fd00::2]:443", "203.0.113.9"),
    ],
)
def test_ports_brackets_and_zones_are_understood(forwarded: str, client: str) -> None:
    assert Clients(TRUSTED).address_of(scope(forwarded)) == client
    assert Clients(TRUSTED).address_of(scope(*forwarded.split(","))) == client


@pytest.mark.parametrize(
    "forwarded",
    [
        "unknown",
        "_hidden",
        "203.0.113.9:port",
        "203.0.113.9:123456",
        "[2001:db8::9",
        "203.0.113:80",
        "a b",
        "1",
    ],
)
def test_what_is_no_address_leaves_the_proxy(forwarded: str) -> None:
    assert Clients(TRUSTED).address_of(scope(forwarded)) == "127.0.0.1"


def test_stranger_is_not_believed() -> None:
    assert Clients(TRUSTED).address_of(scope("203.0.113.9:1", peer="192.0.2.1")) == "192.0.2.1"


def test_forwarded_of_rfc_7239_is_ignored() -> None:
    """One header decides: with two, a stranger could send the one that the proxy does not overwrite."""
    asked = scope("203.0.113.9")
    asked["headers"].insert(0, (b"forwarded", b"for=198.51.100.1"))
    assert Clients(TRUSTED).address_of(asked) == "203.0.113.9"


@pytest.mark.parametrize("forwarded", ["", " ", ",", "unknown"])
def test_address_of_the_proxy_has_one_spelling(forwarded: str) -> None:
    """A dual-stack socket says ``::ffff:127.0.0.1``; allow-lists and limits know it as IPv4."""
    assert Clients(TRUSTED).address_of(scope(forwarded, peer="::ffff:127.0.0.1")) == "127.0.0.1"
    assert Clients(TRUSTED).address_of(scope(peer="::ffff:127.0.0.1")) == "127.0.0.1"
