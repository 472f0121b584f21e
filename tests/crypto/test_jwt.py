import json
import traceback
from datetime import UTC, datetime, timedelta

import joserfc.errors
import joserfc.jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey

from czo_auth.crypto import base64url, jwt
from czo_auth.crypto.jwt import InvalidToken, SigningKey, Verifier

ISSUER = "https://auth.example"
AUDIENCE = "https://api.example"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AT = int(NOW.timestamp())
LEEWAY = 60

KEY = jwt.new_signing_key()
OTHER_KEY = jwt.new_signing_key()
VERIFIER = Verifier({KEY.kid: KEY.public_jwk()}, issuer=ISSUER, audience=AUDIENCE, leeway_seconds=LEEWAY)
CLAIMS: dict[str, object] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "0198c0de-0000-7000-8000-000000000001",
    "act_type": "merchant",
    "org": None,
    "sid": "0198c0de-0000-7000-8000-000000000002",
    "amr": ["pwd", "otp"],
    "aal": 2,
    "auth_time": AT,
    "iat": AT,
    "exp": AT + 900,
    "jti": "0198c0de-0000-7000-8000-000000000003",
}
HEADER: dict[str, object] = {"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid}
TOKEN = jwt.sign(CLAIMS, KEY)


def _private(key: SigningKey) -> ec.EllipticCurvePrivateKey:
    private = load_pem_private_key(key.private_pem, password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return private


def _signed(header: bytes, payload: bytes, *, key: SigningKey = KEY) -> str:
    """Sign any bytes at all with *key*, so that only the rule under test stands in the way."""
    message = f"{base64url.encode(header)}.{base64url.encode(payload)}"
    r, s = decode_dss_signature(_private(key).sign(message.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{message}.{base64url.encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _with_header(header: object) -> str:
    return _signed(json.dumps(header).encode(), json.dumps(CLAIMS).encode())


def _with_claims(**changes: object) -> str:
    return jwt.sign({**CLAIMS, **changes}, KEY)


def _without(name: str) -> str:
    return jwt.sign({key: value for key, value in CLAIMS.items() if key != name}, KEY)


def _is_accepted(token: str, *, verifier: Verifier = VERIFIER, now: datetime = NOW) -> bool:
    try:
        verifier.verify(token, now=now)
    except InvalidToken:
        return False
    return True


def _joserfc_claims(token: str) -> dict[str, object]:
    public = ECKey.import_key(dict(KEY.public_jwk()))
    return joserfc.jwt.decode(token, public, algorithms=["ES256"]).claims


# Signing, and agreement with joserfc


def test_a_signed_token_verifies_and_gives_its_claims() -> None:
    assert VERIFIER.verify(TOKEN, now=NOW) == CLAIMS


def test_joserfc_accepts_our_tokens() -> None:
    assert _joserfc_claims(TOKEN) == CLAIMS


def test_the_header_holds_type_algorithm_and_key_id() -> None:
    header = json.loads(base64url.decode(TOKEN.split(".")[0]))
    assert header == HEADER


def test_the_header_that_sign_writes_is_the_one_that_the_verifier_knows() -> None:
    # Otherwise every verification would parse it.
    assert list(VERIFIER._keys_by_header) == [TOKEN.split(".")[0]]


def test_a_token_of_joserfc_with_the_same_profile_is_accepted() -> None:
    token = joserfc.jwt.encode(HEADER, CLAIMS, ECKey.import_key(KEY.private_pem), default_type=None)
    assert token.split(".")[0] != TOKEN.split(".")[0]
    assert VERIFIER.verify(token, now=NOW) == CLAIMS


def test_our_test_signer_makes_tokens_that_are_accepted() -> None:
    assert _is_accepted(_with_header(HEADER))


def test_the_key_is_chosen_by_its_id() -> None:
    both = Verifier({key.kid: key.public_jwk() for key in (KEY, OTHER_KEY)}, issuer=ISSUER, audience=AUDIENCE)
    for key in (KEY, OTHER_KEY):
        assert both.verify(jwt.sign(CLAIMS, key), now=NOW) == CLAIMS
    crossed = _signed(json.dumps(HEADER).encode(), json.dumps(CLAIMS).encode(), key=OTHER_KEY)
    assert not _is_accepted(crossed, verifier=both)


@given(at=st.integers(0, len(TOKEN) - 1), char=st.sampled_from("ABgwzQ059_-.=+/ \n\u0410"))
def test_a_token_with_one_changed_character_is_refused(at: int, char: str) -> None:
    changed = TOKEN[:at] + char + TOKEN[at + 1 :]
    assert _is_accepted(changed) is (changed == TOKEN)


@given(
    parts=st.lists(st.sampled_from([*TOKEN.split("."), "", "e30", "bnVsbA", "W10"]), max_size=5),
    tail=st.text(max_size=2),
)
def test_what_joserfc_refuses_is_refused(parts: list[str], tail: str) -> None:
    token = ".".join(parts) + tail
    try:
        _joserfc_claims(token)
    except (joserfc.errors.JoseError, ValueError):
        assert not _is_accepted(token)


# The signature


def _with_signature(signature: bytes) -> str:
    return TOKEN.rpartition(".")[0] + "." + base64url.encode(signature)


SIGNATURE = base64url.decode(TOKEN.split(".")[2])
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(b"", id="none"),
        pytest.param(SIGNATURE[:63], id="63 bytes"),
        pytest.param(SIGNATURE + b"\0", id="65 bytes"),
        pytest.param(b"\0" + SIGNATURE, id="a zero in front"),
        pytest.param(SIGNATURE[:32] + b"\0" + SIGNATURE[32:], id="a zero between"),
        pytest.param(bytes(64), id="zeros"),
        pytest.param(b"\xff" * 64, id="beyond the order"),
        pytest.param(ORDER.to_bytes(32, "big") * 2, id="the order"),
        pytest.param(SIGNATURE[32:] + SIGNATURE[:32], id="halves exchanged"),
        pytest.param(
            _private(KEY).sign(TOKEN.rpartition(".")[0].encode(), ec.ECDSA(hashes.SHA256())), id="DER"
        ),
    ],
)
def test_a_signature_of_another_form_is_refused(signature: bytes) -> None:
    assert not _is_accepted(_with_signature(signature))


def test_a_64_byte_prefix_of_a_longer_signature_is_not_enough() -> None:
    assert _is_accepted(_with_signature(SIGNATURE))
    assert not _is_accepted(_with_signature(SIGNATURE + b"tail"))


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("tail", ["=", "==", " ", "\n"])
def test_a_part_with_anything_behind_it_is_refused(part: int, tail: str) -> None:
    parts = TOKEN.split(".")
    parts[part] += tail
    assert not _is_accepted(".".join(parts))


def test_a_signed_part_that_is_not_canonical_base64url_is_refused() -> None:
    # The signature is right over exactly this text; only the spelling of the payload is not canonical.
    payload = json.dumps(CLAIMS).encode()
    payload += b" " * ((1 - len(payload)) % 3)
    header, spelled = base64url.encode(json.dumps(HEADER).encode()), base64url.encode(payload)
    assert spelled[-1] in "AQgw"
    for text, is_accepted in ((spelled, True), (spelled[:-1] + chr(ord(spelled[-1]) + 1), False)):
        message = f"{header}.{text}"
        r, s = decode_dss_signature(_private(KEY).sign(message.encode(), ec.ECDSA(hashes.SHA256())))
        signature = base64url.encode(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        assert _is_accepted(f"{message}.{signature}") is is_accepted


# The header


def _unsigned(header: dict[str, object]) -> str:
    return f"{base64url.encode(json.dumps(header).encode())}.{TOKEN.split('.')[1]}."


def test_a_token_without_a_signature_is_refused() -> None:
    assert not _is_accepted(_unsigned({**HEADER, "alg": "none"}))
    assert not _is_accepted(_unsigned(HEADER))


def test_a_token_signed_by_hmac_with_the_public_key_is_refused() -> None:
    secret = OctKey.import_key(json.dumps(KEY.public_jwk()).encode())
    token = joserfc.jwt.encode({**HEADER, "alg": "HS256"}, CLAIMS, secret, default_type=None)
    assert not _is_accepted(token)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param({**HEADER, "alg": "none"}, id="alg none"),
        pytest.param({**HEADER, "alg": "HS256"}, id="alg HS256"),
        pytest.param({**HEADER, "alg": "ES384"}, id="alg ES384"),
        pytest.param({**HEADER, "alg": ["ES256"]}, id="alg list"),
        pytest.param({"typ": "at+jwt", "kid": KEY.kid}, id="no alg"),
        pytest.param({**HEADER, "typ": "JWT"}, id="typ JWT"),
        pytest.param({**HEADER, "typ": None}, id="typ null"),
        pytest.param({"alg": "ES256", "kid": KEY.kid}, id="no typ"),
        pytest.param({**HEADER, "kid": OTHER_KEY.kid}, id="unknown kid"),
        pytest.param({**HEADER, "kid": [KEY.kid]}, id="kid list"),
        pytest.param({**HEADER, "kid": 1}, id="kid number"),
        pytest.param({"alg": "ES256", "typ": "at+jwt"}, id="no kid"),
        pytest.param({**HEADER, "crit": []}, id="crit empty"),
        pytest.param({**HEADER, "crit": ["exp"], "exp": AT}, id="crit"),
        pytest.param({**HEADER, "crit": ["b64"], "b64": True}, id="crit b64"),
        pytest.param({**HEADER, "b64": False}, id="b64"),
        pytest.param({**HEADER, "jwk": dict(KEY.public_jwk())}, id="jwk"),
        pytest.param({**HEADER, "jku": "https://attacker.example/jwks"}, id="jku"),
        pytest.param({**HEADER, "x5u": "https://attacker.example/x"}, id="x5u"),
        pytest.param({**HEADER, "x5c": ["MIIB"]}, id="x5c"),
        pytest.param({**HEADER, "cty": "JWT"}, id="cty"),
        pytest.param({**HEADER, "zip": "DEF"}, id="zip"),
        pytest.param([HEADER], id="list"),
        pytest.param("ES256", id="text"),
        pytest.param(None, id="null"),
    ],
)
def test_a_rightly_signed_token_with_another_header_is_refused(header: object) -> None:
    assert not _is_accepted(_with_header(header))


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(f'{{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"{KEY.kid}"}}', id="alg twice"),
        pytest.param(f'{{"alg":"ES256","typ":"at+jwt","kid":"{KEY.kid}","kid":"{KEY.kid}"}}', id="kid twice"),
        pytest.param(json.dumps(HEADER) + "x", id="something behind"),
        pytest.param("\ufeff" + json.dumps(HEADER), id="byte order mark"),
        pytest.param("", id="nothing"),
        pytest.param('{"a":' + "[" * 1500, id="deep nesting"),
    ],
)
def test_a_header_that_readers_could_read_differently_is_refused(header: str) -> None:
    assert not _is_accepted(_signed(header.encode(), json.dumps(CLAIMS).encode()))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le"])
def test_a_token_in_another_encoding_than_utf_8_is_refused(encoding: str) -> None:
    assert not _is_accepted(_signed(json.dumps(HEADER).encode(encoding), json.dumps(CLAIMS).encode()))
    assert not _is_accepted(_signed(json.dumps(HEADER).encode(), json.dumps(CLAIMS).encode(encoding)))


# The claims


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "sub", "jti", "sid"])
def test_a_token_without_a_required_claim_is_refused(name: str) -> None:
    assert not _is_accepted(_without(name))


def test_a_token_is_bound_to_a_session_or_to_a_key_and_never_to_both() -> None:
    key = {"client_id": "0198c0de-0000-7000-8000-000000000003"}
    traded = {name: value for name, value in CLAIMS.items() if name != "sid"} | key
    assert _is_accepted(jwt.sign(traded, KEY))
    assert not _is_accepted(jwt.sign({**traded, "client_id": ""}, KEY))
    assert not _is_accepted(jwt.sign({**CLAIMS, **key}, KEY))


@pytest.mark.parametrize("name", ["act_type", "org", "amr", "aal", "auth_time"])
def test_other_claims_are_not_required_here(name: str) -> None:
    assert _is_accepted(_without(name))


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"iss": [ISSUER]},
        {"aud": "https://other.example"},
        {"aud": [AUDIENCE]},
        {"aud": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": None},
        {"jti": ""},
        {"jti": 7},
        {"sid": ""},
        {"sid": ["s"]},
        {"iat": True},
        {"iat": str(AT)},
        {"iat": None},
        {"exp": True},
        {"exp": str(AT + 900)},
        {"exp": None},
        {"exp": AT + 900.0},
        {"iat": True, "nbf": AT},
        {"iat": str(AT), "nbf": AT},
        {"nbf": False},
        {"nbf": None},
        {"nbf": "0"},
    ],
    ids=str,
)
def test_a_claim_of_another_type_or_value_is_refused(claims: dict[str, object]) -> None:
    assert not _is_accepted(_with_claims(**claims))


def _with_payload(payload: str) -> str:
    return _signed(json.dumps(HEADER).encode(), payload.encode())


PAYLOAD = json.dumps(CLAIMS)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(PAYLOAD.replace(f'"exp": {AT + 900}', '"exp": NaN'), id="NaN"),
        pytest.param(PAYLOAD.replace(f'"exp": {AT + 900}', '"exp": Infinity'), id="Infinity"),
        pytest.param(PAYLOAD.replace(f'"exp": {AT + 900}', '"exp": 1e400'), id="a number that is infinite"),
        pytest.param(PAYLOAD.replace('"aal": 2', '"aal": NaN'), id="NaN elsewhere"),
        pytest.param(PAYLOAD.replace('"aal": 2', '"aal": 2.0'), id="fraction elsewhere"),
        pytest.param(PAYLOAD[:-1] + f', "exp": {AT + 900}}}', id="exp twice"),
        pytest.param(PAYLOAD.replace('"aal": 2', '"aal": {"a": 1, "a": 1}'), id="member twice further in"),
        pytest.param(f"[{PAYLOAD}]", id="list"),
        pytest.param("", id="nothing"),
        pytest.param("null", id="null"),
        pytest.param(PAYLOAD + "{}", id="something behind"),
        pytest.param("[" * 2000, id="deep nesting"),
    ],
)
def test_a_correctly_signed_payload_that_is_not_an_object_is_refused(payload: str) -> None:
    assert _is_accepted(_with_payload(PAYLOAD))
    assert not _is_accepted(_with_payload(payload))


def _at(seconds: int) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_token_expires_after_the_leeway() -> None:
    assert _is_accepted(TOKEN, now=_at(900 + LEEWAY) - timedelta(microseconds=1))
    assert not _is_accepted(TOKEN, now=_at(900 + LEEWAY))


def test_a_token_from_the_future_is_refused_beyond_the_leeway() -> None:
    assert _is_accepted(TOKEN, now=_at(-LEEWAY))
    assert not _is_accepted(TOKEN, now=_at(-LEEWAY - 1))


def test_a_token_is_refused_before_its_nbf() -> None:
    token = _with_claims(nbf=AT + 300)
    assert not _is_accepted(token, now=_at(300 - LEEWAY - 1))
    assert _is_accepted(token, now=_at(300 - LEEWAY))


def test_an_early_nbf_does_not_excuse_an_iat_in_the_future() -> None:
    assert not _is_accepted(_with_claims(nbf=AT - 900, iat=AT + 300))


def test_without_leeway_the_times_are_exact() -> None:
    exact = Verifier({KEY.kid: KEY.public_jwk()}, issuer=ISSUER, audience=AUDIENCE, leeway_seconds=0)
    assert _is_accepted(TOKEN, verifier=exact, now=NOW)
    assert not _is_accepted(TOKEN, verifier=exact, now=_at(-1))
    assert _is_accepted(TOKEN, verifier=exact, now=_at(899))
    assert not _is_accepted(TOKEN, verifier=exact, now=_at(900))


@pytest.mark.parametrize("leeway", [-1, 61])
def test_a_leeway_over_a_minute_or_under_none_is_refused(leeway: int) -> None:
    with pytest.raises(ValueError, match="leeway"):
        Verifier({}, issuer=ISSUER, audience=AUDIENCE, leeway_seconds=leeway)


def test_a_naive_time_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="aware"):
        VERIFIER.verify(TOKEN, now=NOW.replace(tzinfo=None))


# Everything else that may arrive


def test_a_token_over_the_size_limit_is_refused() -> None:
    assert jwt.MAX_TOKEN_LENGTH == 4096
    about = (jwt.MAX_TOKEN_LENGTH - len(TOKEN)) * 3 // 4
    tokens = [_with_claims(filler="x" * size) for size in range(about - 30, about)]
    lengths = [len(token) for token in tokens]
    assert min(lengths) < jwt.MAX_TOKEN_LENGTH - 1 <= max(lengths) - 3
    for token in tokens:
        assert _is_accepted(token) is (len(token) <= jwt.MAX_TOKEN_LENGTH)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "...", TOKEN + ".x", TOKEN.replace(".", "", 1), "\0", "\ud800..", "é.é.é"]
)
def test_a_text_that_is_not_a_token_is_refused(text: str) -> None:
    assert not _is_accepted(text)


def test_unknown_key_is_named_and_reads_like_any_refusal() -> None:
    unknown = jwt.UnknownSigningKey("another")
    assert unknown.kid == "another"
    assert str(unknown) == str(InvalidToken()) == "The token is not valid."


def test_every_refusal_reads_the_same() -> None:
    for token in (
        "",
        "x" * 5000,
        _with_signature(bytes(64)),
        _without("sub"),
        _with_header({**HEADER, "alg": "none"}),
    ):
        with pytest.raises(InvalidToken) as caught:
            VERIFIER.verify(token, now=NOW)
        shown = "".join(traceback.format_exception(caught.value)).splitlines()
        assert shown[-1].endswith("InvalidToken: The token is not valid.")
        assert sum(line.startswith("Traceback") for line in shown) == 1
