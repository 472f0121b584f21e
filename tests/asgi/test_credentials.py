"""Whose token it is, decided before it is verified."""

from __future__ import annotations

import json

import pytest

from czo_auth.asgi.credentials import payload_prefix, unverified_issuer
from czo_auth.crypto import base64url

ISSUERS = ["https://a.test", "https://ab.test", "https://abc.test", 'https://"quoted".test', "https://ü.test"]


def payload(claims: object) -> str:
    return base64url.encode(json.dumps(claims, separators=(",", ":")).encode())


@pytest.mark.parametrize("issuer", ISSUERS)
def test_payload_of_an_issuer_begins_as_usual(issuer: str) -> None:
    ours = payload({"iss": issuer, "aud": "shop", "sub": "u1"})
    assert ours.startswith(payload_prefix(issuer))
    assert unverified_issuer(f"x.{ours}.x") == issuer


@pytest.mark.parametrize("issuer", ISSUERS)
@pytest.mark.parametrize("more", ["x", ".evil", '"', "/", "\\", ""])
def test_payload_of_another_issuer_does_not(issuer: str, more: str) -> None:
    for other in {issuer + more, issuer[:-1], more + issuer, issuer[:-1] + more} - {issuer}:
        assert not payload({"iss": other, "aud": "shop"}).startswith(payload_prefix(issuer))
        assert not payload({"iss": other, "sub": issuer}).startswith(payload_prefix(issuer))
