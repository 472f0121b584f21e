"""Signing keys of access tokens and the keys that are published for them (RFC 7517, 7518 6.2, 7638)."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from joserfc.jwk import ECKey

from czo_auth.crypto import base64url, jwt
from czo_auth.crypto.jwt import SigningKey, Verifier

ISSUER = "https://auth.example"
AUDIENCE = "https://api.example"
KEY = jwt.new_signing_key()
OTHER_KEY = jwt.new_signing_key()


def test_key_is_named_by_its_thumbprint() -> None:
    assert KEY.kid == ECKey.import_key(KEY.private_pem).thumbprint()
    assert KEY.kid != OTHER_KEY.kid
    new = jwt.new_signing_key()
    assert new.kid == ECKey.import_key(new.private_pem).thumbprint()


def test_private_key_does_not_show() -> None:
    new = jwt.new_signing_key()
    assert repr(new) == f"SigningKey(kid={new.kid!r})"


def test_public_jwk_holds_the_public_half_and_nothing_more() -> None:
    jwk = KEY.public_jwk()
    assert set(jwk) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    assert (jwk["kty"], jwk["crv"], jwk["use"], jwk["alg"], jwk["kid"]) == (
        *("EC", "P-256", "sig", "ES256"),
        KEY.kid,
    )
    public = ECKey.import_key(dict(jwk)).public_key
    assert public == load_pem_private_key(KEY.private_pem, password=None).public_key()


def test_coordinates_of_a_jwk_always_have_32_bytes() -> None:
    # One coordinate in 256 begins with a zero byte, which must not be dropped.
    numbers = ec.derive_private_key(379, ec.SECP256R1())
    assert min(numbers.public_key().public_numbers().x, numbers.public_key().public_numbers().y) < 1 << 248
    pem = numbers.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    jwk = SigningKey(kid="short", private_pem=pem).public_jwk()
    assert len(jwk["x"]) == len(jwk["y"]) == 43
    Verifier({"short": jwk}, issuer=ISSUER, audience=AUDIENCE)


def test_representation_of_a_signing_key_hides_the_private_half() -> None:
    new = jwt.new_signing_key()
    assert repr(new) == f"SigningKey(kid={new.kid!r})"


def test_key_on_another_curve_is_not_a_signing_key() -> None:
    pem = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    with pytest.raises(ValueError, match="ES256"):
        SigningKey(kid="p384", private_pem=pem).public_jwk()


@pytest.mark.parametrize(
    "changes",
    [
        {"kty": "RSA"},
        {"crv": "P-384"},
        {"d": KEY.public_jwk()["x"]},
        {"kid": "another"},
        {"x": KEY.public_jwk()["y"]},
        {"x": "AAAA"},
        {"x": base64url.encode(b"\0" + base64url.decode(KEY.public_jwk()["x"]))},
        {"x": KEY.public_jwk()["x"] + "="},
    ],
    ids=["type", "curve", "private", "another id", "off the curve", "short", "long", "not canonical"],
)
def test_jwk_that_is_no_public_key_for_es256_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Verifier({KEY.kid: {**KEY.public_jwk(), **changes}}, issuer=ISSUER, audience=AUDIENCE)
