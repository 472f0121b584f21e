"""
Access tokens: JWTs signed with ES256, for services that verify offline.

Signing uses joserfc. Verifying is implemented here on the bare ECDSA operation, because it is in the path of every
request, where a library's generality costs another third before it looks at a claim. The profile is far narrower than
the RFCs, so that most attacks on JWTs do not apply. The tests compare it with joserfc.

Source: RFC 7515, RFC 7519, RFC 8725 (current practice), RFC 9068 (the at+jwt type).
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from czo_auth.crypto import base64url

if TYPE_CHECKING:
    from joserfc.jwk import ECKey

ALGORITHM = "ES256"
TYPE = "at+jwt"
MAX_TOKEN_LENGTH = 4096
"""Unit: characters. Ours have about 500."""
MAX_LEEWAY_SECONDS = 60

_COORDINATE_BYTES = 32
_SIGNATURE_BYTES = 2 * _COORDINATE_BYTES
_SESSION = "sid"
_API_KEY = "client_id"
"""What a token is bound to: a session, or the API key that it was traded for. Exactly one of them is there."""
_ES256 = ec.ECDSA(SHA256())


class InvalidToken(Exception):
    """The token is not accepted. The reason is not given, because only a forger would need it."""

    def __init__(self) -> None:
        super().__init__("The token is not valid.")


class UnknownSigningKey(InvalidToken):
    """The token has our format and names a key that this verifier does not have; it may be a new one."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        super().__init__()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """
    A private key for ES256. Its representation shows the id only.

    Attributes:
        kid: Thumbprint of the public key (RFC 7638).
        private_pem: PKCS #8, PEM, not encrypted: seal it before storing.
    """

    kid: str
    private_pem: bytes = field(repr=False)

    def public_jwk(self) -> dict[str, str]:
        """
        Return the public half as a JWK, ready for a JWKS.

        Raises:
            ValueError: The key is not a private key on P-256.
        """
        # Imported late, here and below: 20 ms that verifying does not need.
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        key = load_pem_private_key(self.private_pem, password=None)
        if not (isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)):
            raise ValueError("The key is not for ES256.")
        return {**_point(key.public_key()), "use": "sig", "alg": ALGORITHM, "kid": self.kid}


def new_signing_key() -> SigningKey:
    """Generate a key on P-256, named by its thumbprint."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return SigningKey(kid=_thumbprint(_point(key.public_key())), private_pem=pem)


def _point(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": base64url.encode(numbers.x.to_bytes(_COORDINATE_BYTES, "big")),
        "y": base64url.encode(numbers.y.to_bytes(_COORDINATE_BYTES, "big")),
    }


def _thumbprint(point: Mapping[str, str]) -> str:
    # RFC 7638 section 3: the required members, sorted, without white space.
    text = json.dumps(dict(sorted(point.items())), separators=(",", ":"))
    return base64url.encode(hashlib.sha256(text.encode("ascii")).digest())


def prepare_to_sign() -> None:
    """Import what `sign` needs, in a thread: the event loop would answer nobody for 35 ms at the first sign-in."""
    import joserfc.jwt  # noqa: F401


def sign(claims: Mapping[str, object], key: SigningKey) -> str:
    """
    Sign *claims* as a JWT of type `at+jwt`.

    The claims are taken as they are; that they are complete is what `Verifier` checks.
    """
    # Imported late: time and memory that a process which only verifies does not need.
    from joserfc import jwt

    private = _joserfc_key(key.private_pem)
    return jwt.encode(_header(key.kid), dict(claims), private, algorithms=[ALGORITHM], default_type=None)


@lru_cache(maxsize=8)
def _joserfc_key(private_pem: bytes) -> "ECKey":
    from joserfc.jwk import ECKey

    return ECKey.import_key(private_pem)


def _header(kid: str) -> dict[str, str]:
    return {"typ": TYPE, "alg": ALGORITHM, "kid": kid}


class Verifier:
    """
    Verifies the access tokens of one issuer for one audience.

    Keys are loaded once, and the header that `sign` writes for each is known beforehand, so that verifying
    costs little more than the ECDSA operation. An instance does not change and may be shared by threads.
    """

    __slots__ = ("_audience", "_issuer", "_keys", "_keys_by_header", "_leeway")

    def __init__(
        self,
        keys: Mapping[str, Mapping[str, str]],
        *,
        issuer: str,
        audience: str,
        leeway_seconds: int = MAX_LEEWAY_SECONDS,
    ) -> None:
        """
        Load *keys*, public JWKs by key id.

        Raises:
            ValueError: A key is not a public key for ES256, or the leeway is over 60 s or negative.
        """
        if not 0 <= leeway_seconds <= MAX_LEEWAY_SECONDS:
            raise ValueError("The leeway is 0 to 60 seconds.")
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway_seconds
        self._keys = {kid: _public_key(kid, jwk) for kid, jwk in keys.items()}
        self._keys_by_header = {_usual_header(kid): key for kid, key in self._keys.items()}

    def verify(
        self, token: str, *, now: datetime, audiences: Collection[str] | None = None
    ) -> dict[str, object]:
        """
        Return the claims of *token* if it is ours, intact and currently valid.

        The header must hold exactly `typ`, `alg` and `kid`. That refuses other algorithms, embedded keys
        (`jwk`, `jku`, `x5u`, `x5c`) and every `crit`, known today or not. Whether the session was revoked is
        not known here; ask by `sid` or `jti`, never by the token's text, which others can vary.

        Args:
            token: The compact form.
            now: Timezone-aware server time.
            audiences: The audiences that are accepted; by default only this verifier's own.

        Raises:
            InvalidToken: For every reason.
            ValueError: *now* has no time zone.

        Source: RFC 8725 sections 3.1 to 3.11; RFC 7519 section 7.2.
        """
        if now.utcoffset() is None:
            raise ValueError("The time must be aware.")
        if len(token) > MAX_TOKEN_LENGTH:
            raise InvalidToken
        try:
            claims = self._signed_claims(token)
        except (ValueError, KeyError, RecursionError, InvalidSignature):
            raise InvalidToken from None
        wanted = (self._audience,) if audiences is None else audiences
        if not (self._is_for(claims, wanted) and self._is_in_force(claims, now=now.timestamp())):
            raise InvalidToken
        return claims

    def _signed_claims(self, token: str) -> dict[str, object]:
        header, payload, signature = token.split(".")
        key = self._keys_by_header.get(header) or self._key_named(_kid_in(header))
        pair = base64url.decode(signature)
        if len(pair) != _SIGNATURE_BYTES:
            raise ValueError("An ES256 signature has 64 bytes.")
        r, s = pair[:_COORDINATE_BYTES], pair[_COORDINATE_BYTES:]
        der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        key.verify(der, f"{header}.{payload}".encode("ascii"), _ES256)
        return _read_object(payload)

    def _key_named(self, kid: str) -> ec.EllipticCurvePublicKey:
        key = self._keys.get(kid)
        if key is None:
            raise UnknownSigningKey(kid)
        return key

    def _is_for(self, claims: Mapping[str, object], audiences: Collection[str]) -> bool:
        audience = claims.get("aud")
        if claims.get("iss") != self._issuer or type(audience) is not str or audience not in audiences:
            return False
        if (_SESSION in claims) == (_API_KEY in claims):
            return False
        texts = claims.get("sub"), claims.get("jti"), claims[_SESSION if _SESSION in claims else _API_KEY]
        return all(type(text) is str and text for text in texts)

    def _is_in_force(self, claims: Mapping[str, object], *, now: float) -> bool:
        issued_at, expires_at = claims.get("iat"), claims.get("exp")
        not_before = claims.get("nbf", issued_at)
        # A bool is an int to Python, so that isinstance would read true as the year 1970.
        if type(issued_at) is not int or type(expires_at) is not int or type(not_before) is not int:
            return False
        return max(issued_at, not_before) - self._leeway <= now < expires_at + self._leeway


def _public_key(kid: str, jwk: Mapping[str, str]) -> ec.EllipticCurvePublicKey:
    if (jwk.get("kty"), jwk.get("crv"), jwk.get("kid", kid)) != ("EC", "P-256", kid) or "d" in jwk:
        raise ValueError("The key is not a public key for ES256, or has another id.")
    x, y = base64url.decode(jwk["x"]), base64url.decode(jwk["y"])
    if (len(x), len(y)) != (_COORDINATE_BYTES, _COORDINATE_BYTES):
        raise ValueError("A coordinate on P-256 has 32 bytes.")
    return ec.EllipticCurvePublicNumbers(
        int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()
    ).public_key()


def _usual_header(kid: str) -> str:
    return base64url.encode(json.dumps(_header(kid), separators=(",", ":")).encode("utf-8"))


def _kid_in(header: str) -> str:
    fields = _read_object(header)
    kid = fields.get("kid")
    if not isinstance(kid, str) or fields != _header(kid):
        raise ValueError("The header is not one of ours.")
    return kid


def _read_object(segment: str) -> dict[str, object]:
    value = _JSON.decode(base64url.decode(segment).decode("utf-8"))
    if not isinstance(value, dict):
        raise ValueError("The segment holds no object.")
    return value


def _unique_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("A member appears twice.")
    return members


def _refuse_number(_text: str) -> NoReturn:
    raise ValueError("Neither fractions nor NaN nor Infinity.")


# Two parsers must not read different values, and no claim needs a fraction.
_JSON = json.JSONDecoder(
    object_pairs_hook=_unique_members, parse_float=_refuse_number, parse_constant=_refuse_number
)
