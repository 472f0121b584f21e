"""What is sealed or signed: key rings, envelopes, access tokens."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from czo_auth.crypto import jwt
from czo_auth.crypto.sealing import KeyRing, KeyRingError, OpenError, kid_of
from tests.fuzz.parsers.target import Target, lenient_text_of

KEY = hashlib.sha256(b"a key of the fuzzed ring").digest()
OTHER = hashlib.sha256(b"another key of the fuzzed ring").digest()
RING = KeyRing({"k2": KEY, "k1": OTHER})
PLACE = {"user": "u1", "enrolment": "e1"}


def _plain(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


# --- key ring --------------------------------------------------------------------------------------------------------
def key_ring(data: bytes) -> bool:
    """Hold the reader against the standard library's strict base64, and its message against what it was given."""
    text = lenient_text_of(data)
    try:
        ring = KeyRing.parse(text)
    except KeyRingError as error:
        keys = [entry.rpartition(":")[2] for entry in text.split(",")]
        assert not any(len(key) >= 16 and key in str(error) for key in keys), "the message repeats the key"
        assert error.__cause__ is None
        assert _expected_ring(text) is None, data
        return False
    expected = _expected_ring(text)
    assert expected is not None, data
    spelled = ",".join(f"{kid}:{_plain(key)}" for kid, key in expected.items())
    again = KeyRing.parse(spelled)
    assert ring.kids == again.kids == tuple(expected)
    assert all(ring.check_value(kid) == again.check_value(kid) for kid in ring.kids)
    assert not any(_plain(key) in repr(ring) for key in expected.values())
    return True


def _expected_ring(text: str) -> dict[str, bytes] | None:
    entries = text.split(",")
    found: dict[str, bytes] = {}
    for entry in entries:
        kid, colon, encoded = entry.rpartition(":")
        if not colon:
            kid = "k1" if len(entries) == 1 else ""
        key = _strict_key(encoded)
        allowed = kid.isascii() and kid.replace("-", "a").replace("_", "a").isalnum() and len(kid) <= 16
        if key is None or not allowed or kid in found or _repeats(key):
            return None
        found[kid] = key
    return found


def _strict_key(encoded: str) -> bytes | None:
    bare = encoded.removesuffix("=")
    if not encoded.isascii() or (("+" in bare or "/" in bare) and ("-" in bare or "_" in bare)):
        return None
    try:
        key = base64.b64decode(bare.replace("-", "+").replace("_", "/") + "=", validate=True)
    except ValueError:
        return None
    return key if len(key) == 32 and _plain(key) == bare.replace("+", "-").replace("/", "_") else None


def _repeats(key: bytes) -> bool:
    return any(len({key[at : at + size] for at in range(0, 32, size)}) == 1 for size in (1, 2, 4, 8, 16))


# --- envelope --------------------------------------------------------------------------------------------------------
SEALED = RING.seal(b"JBSWY3DPEHPK3PXP", purpose="totp", bound_to=PLACE)


def envelope(data: bytes) -> bool:
    """Any text opens to what was sealed here, or fails; a changed envelope never opens."""
    if data[:1] == b"=":
        assert (
            RING.open(RING.seal(data, purpose="totp", bound_to=PLACE), purpose="totp", bound_to=PLACE) == data
        )
        return True
    text = _spliced(SEALED, data[1:]) if data[:1] == b"~" else lenient_text_of(data).replace("SEALED", SEALED)
    try:
        kid = kid_of(text)
        version, named, *rest = text.split(".")
        assert (version, named, len(rest)) == ("v1", kid, 2)
    except OpenError:
        kid = None
    try:
        opened = RING.open(text, purpose="totp", bound_to=PLACE)
    except OpenError:
        assert text != SEALED
        return False
    assert kid is not None
    assert opened == b"JBSWY3DPEHPK3PXP"
    assert text == SEALED, "a changed envelope opened"
    return True


def _spliced(text: str, change: bytes) -> str:
    """Put *change* over *text* at the place that its first byte names."""
    at = change[0] % len(text) if change else 0
    piece = change[1:].decode("latin-1")
    return text[:at] + piece + text[at + len(piece) :]


# --- access token ----------------------------------------------------------------------------------------------------
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SIGNING = jwt.new_signing_key()
_PRIVATE = load_pem_private_key(SIGNING.private_pem, password=None)
VERIFIER = jwt.Verifier(
    {SIGNING.kid: SIGNING.public_jwk()}, issuer="https://i.example", audience="https://a.example"
)
_IAT = int(NOW.timestamp())
CLAIMS: dict[str, object] = {
    "iss": "https://i.example",
    "aud": "https://a.example",
    "sub": "u1",
    "jti": "j1",
    "sid": "s1",
    "iat": _IAT,
    "exp": _IAT + 900,
}
TOKEN = jwt.sign(CLAIMS, SIGNING)
_USUAL_HEADER = json.dumps({"typ": "at+jwt", "alg": "ES256", "kid": SIGNING.kid}).encode()


def access_token(data: bytes) -> bool:
    """
    Unsigned texts never pass; of signed ones only those whose header and claims are exactly of the profile.

    ``h`` signs the rest as a header over good claims, ``c`` as claims under a good header, ``~`` splices into a good
    token, anything else is the token.
    """
    kind, rest = data[:1], data[1:]
    claims, header = json.dumps(CLAIMS).encode(), _USUAL_HEADER
    is_signed = kind in (b"h", b"c")
    if kind == b"h":
        header = rest.replace(b"KID", SIGNING.kid.encode())
    elif kind == b"c":
        claims = rest
    text = (
        _signed(header, claims)
        if is_signed
        else _spliced(TOKEN, rest)
        if kind == b"~"
        else lenient_text_of(data)
    )
    try:
        found = VERIFIER.verify(text, now=NOW)
    except jwt.InvalidToken as error:
        assert "not valid" in str(error)
        assert not is_signed or not _is_of_the_profile(header, claims), data
        return False
    assert is_signed or text == TOKEN, "a token that nobody signed passed"
    assert _is_of_the_profile(header, claims), data
    assert found == json.loads(claims)
    return True


def _signed(header: bytes, claims: bytes) -> str:
    assert isinstance(_PRIVATE, ec.EllipticCurvePrivateKey)
    head = f"{_plain(header)}.{_plain(claims)}"
    r, s = decode_dss_signature(_PRIVATE.sign(head.encode(), ec.ECDSA(SHA256())))
    return f"{head}.{_plain(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _is_of_the_profile(header: bytes, claims: bytes) -> bool:
    if len(_signed(header, claims)) > jwt.MAX_TOKEN_LENGTH:
        return False
    try:
        head, body = _strict_object(header), _strict_object(claims)
    except (ValueError, RecursionError):
        return False
    if head != {"typ": "at+jwt", "alg": "ES256", "kid": SIGNING.kid}:
        return False
    times = [body.get("iat"), body.get("exp"), body.get("nbf", body.get("iat"))]
    if not all(type(one) is int for one in times):
        return False
    issued, expires, start = times
    return (
        body.get("iss") == CLAIMS["iss"]
        and body.get("aud") == CLAIMS["aud"]
        and all(isinstance(body.get(name), str) and body[name] for name in ("sub", "jti", "sid"))
        and issued - 60 <= _IAT
        and start - 60 <= _IAT
        and expires + 60 > _IAT
    )


def _strict_object(raw: bytes) -> dict[str, object]:
    def distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError
        return dict(pairs)

    def whole(text: str) -> object:
        raise ValueError(text)

    value = json.loads(
        raw.decode("utf-8"), object_pairs_hook=distinct, parse_float=whole, parse_constant=whole
    )
    if not isinstance(value, dict):
        raise ValueError(value)
    return value


_CLAIM_BYTES = json.dumps(CLAIMS).encode()
TARGETS = {
    "key ring": Target(
        check=key_ring,
        seeds=(
            f"k2:{_plain(KEY)},k1:{_plain(OTHER)}=".encode(),
            base64.b64encode(KEY),
            b"k1:" + b"A" * 43,
            f"k1:{_plain(KEY)},k1:{_plain(OTHER)}".encode(),
            f"k1:{_plain(KEY)},".encode(),
            f"{'k' * 17}:{_plain(KEY)}".encode(),
            b":",
            "k١:".encode() + _plain(KEY).encode(),
        ),
        words=(_plain(KEY).encode(), b"k1:", b",", b"="),
    ),
    "envelope": Target(
        check=envelope,
        seeds=(
            b"SEALED",
            b"SEALED\n",
            b"~\x08x",
            b"=plain",
            b"v1.k2.AAAAAAAAAAAAAAAA.",
            b"v1.k9.AAAAAAAAAAAAAAAA." + b"A" * 22,
            b"v2.SEALED",
        ),
        words=(b"SEALED", b"v1.", b"k2.", b"k1."),
    ),
    "access token": Target(
        check=access_token,
        seeds=(
            TOKEN.encode(),
            b"h" + json.dumps({"typ": "at+jwt", "alg": "ES256", "kid": "KID"}).encode(),
            b'h{"typ":"at+jwt","alg":"none","kid":"KID"}',
            b'h{"typ":"at+jwt","alg":"ES256","kid":"KID","crit":[]}',
            b'h{"typ":"at+jwt","alg":"ES256","kid":"KID","kid":"KID"}',
            b"c" + _CLAIM_BYTES,
            b"c" + _CLAIM_BYTES.replace(b'"exp"', b'"nbf": true, "exp"'),
            b"c" + _CLAIM_BYTES.replace(str(_IAT + 900).encode(), b"1e99"),
            b"c" + _CLAIM_BYTES.replace(str(_IAT + 900).encode(), b"9" * 400),
            b"c" + _CLAIM_BYTES.replace(b'"u1"', b'["u1"]'),
            b"c" + b"[" * 3000,
            b"~\x60x",
            b"a.b.c",
        ),
        words=(
            b'"exp":',
            b'"iat":',
            b'"nbf":',
            b'"alg":"none"',
            b'"crit":',
            b"null",
            b"true",
            b"KID",
            b"\xed\xa0\x80",
        ),
        share=0.5,
    ),
}
