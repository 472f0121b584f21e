"""
WebAuthn responses: what an authenticator signed, verified by the `webauthn` package and checked beyond it.

The package is an extra and is imported at the first response. It does not look at `crossOrigin`, the length of a
credential id, the parameters of a public key or unusual CBOR; all of that is checked here before it sees the bytes.
What concerns stored state (counter, backup eligibility, whose credential it is) is decided by the flows.

Source: WebAuthn Level 3, sections 7.1 and 7.2.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from czo_auth.crypto import base64url

ALGORITHMS: Final = (-7, -8, -257)
"""ES256, EdDSA (Ed25519) and RS256, in order of preference. Source: the COSE registry of IANA."""
MAX_CREDENTIAL_ID: Final = 1023
"""Unit: bytes. Source: WebAuthn Level 3, section 7.1, step 25."""
MAX_TRANSPORTS: Final = 8
MAX_CBOR_DEPTH: Final = 8

_CREATE: Final = "webauthn.create"
_GET: Final = "webauthn.get"
_HEADER_BYTES: Final = 37
_ATTESTED: Final = 0x40
_EXTENSIONS: Final = 0x80
_TRANSPORTS: Final = frozenset({"ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb"})
_RSA_BITS: Final = range(2048, 4097)

AcceptsOrigin = Callable[[str], bool]


class InvalidResponse(ValueError):
    """The response is malformed, or does not prove what it should. Holds nothing of what was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCredential:
    """
    A credential that an authenticator made.

    Attributes:
        public_key: COSE key, CBOR.
        backup_eligible: Whether it may be synced to other devices; never changes.
    """

    credential_id: bytes
    public_key: bytes
    sign_count: int
    aaguid: str
    backup_eligible: bool
    backed_up: bool
    transports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """The result of a verified assertion."""

    sign_count: int
    backup_eligible: bool
    backed_up: bool


def credential_id_of(response: Mapping[str, Any]) -> bytes:
    """
    Return the credential id that *response* names.

    Raises:
        InvalidResponse: It names none, or one that cannot be.
    """
    text = response.get("id")
    try:
        raw = base64url.decode(text) if isinstance(text, str) else b""
    except ValueError:
        raise InvalidResponse("The credential id is malformed.") from None
    if not 0 < len(raw) <= MAX_CREDENTIAL_ID:
        raise InvalidResponse("The credential id has an impossible length.")
    return raw


def user_handle_of(response: Mapping[str, Any]) -> bytes | None:
    """
    Return the user handle that came with an assertion, or None.

    Raises:
        InvalidResponse: It is malformed.
    """
    text = _inner(response).get("userHandle")
    if text is None or text == "":
        return None
    return _bytes_of(text)


def verify_registration(
    response: Mapping[str, Any],
    *,
    challenge: bytes,
    rp_id: str,
    accepts_origin: AcceptsOrigin,
    needs_presence: bool = True,
) -> NewCredential:
    """
    Verify the answer to `navigator.credentials.create()`; user verification is required.

    Args:
        needs_presence: Whether the person must have touched something; not if the browser created it without a prompt
            (WebAuthn Level 3, section 7.1, step 15).

    Raises:
        InvalidResponse: Anything is wrong with it.
    """
    credential_id_of(response)
    origin = _client_origin(response, _CREATE, accepts_origin)
    attestation = _bytes_of(_inner(response).get("attestationObject"))
    if _end_of_item(attestation, 0) != len(attestation):
        raise InvalidResponse("The attestation object is malformed.")
    from webauthn import verify_registration_response
    from webauthn.helpers import parse_attestation_object
    from webauthn.helpers.cose import COSEAlgorithmIdentifier

    try:
        parsed = parse_attestation_object(attestation)
        statement = parsed.att_stmt
        if parsed.fmt not in ("none", "packed") or statement.x5c:
            raise InvalidResponse("This attestation was not asked for.")
        _check_authenticator_data(authenticator_data_of(attestation))
        found = verify_registration_response(
            credential=dict(response),
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=[origin],
            require_user_presence=needs_presence,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(number) for number in ALGORITHMS],
        )
        _check_public_key(found.credential_public_key)
    except InvalidResponse:
        raise
    except Exception:
        # The package raises its own errors, and KeyError, TypeError and the like for what it did not expect.
        raise InvalidResponse("The registration does not verify.") from None
    if found.credential_id != credential_id_of(response):
        raise InvalidResponse("The credential ids differ.")
    return NewCredential(
        credential_id=found.credential_id,
        public_key=found.credential_public_key,
        sign_count=found.sign_count,
        aaguid=found.aaguid,
        backup_eligible=found.credential_device_type == "multi_device",
        backed_up=found.credential_backed_up,
        transports=_transports(response),
    )


def verify_assertion(
    response: Mapping[str, Any],
    *,
    challenge: bytes,
    rp_id: str,
    accepts_origin: AcceptsOrigin,
    public_key: bytes,
) -> Assertion:
    """
    Verify the answer to `navigator.credentials.get()`; user verification is required.

    The signature counter is returned, not judged: a counter means something only once the signature is right.

    Raises:
        InvalidResponse: Anything is wrong with it.
    """
    origin = _client_origin(response, _GET, accepts_origin)
    _check_authenticator_data(_bytes_of(_inner(response).get("authenticatorData")))
    from webauthn import verify_authentication_response
    from webauthn.helpers import parse_authenticator_data

    try:
        found = verify_authentication_response(
            credential=dict(response),
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=[origin],
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
        flags = parse_authenticator_data(_bytes_of(_inner(response)["authenticatorData"])).flags
    except Exception:
        raise InvalidResponse("The assertion does not verify.") from None
    return Assertion(sign_count=found.new_sign_count, backup_eligible=flags.be, backed_up=flags.bs)


# --- the client's data -----------------------------------------------------------------------------------------------
def _inner(response: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = response.get("response")
    if not isinstance(inner, Mapping):
        raise InvalidResponse("The response is malformed.")
    return inner


def _bytes_of(text: object) -> bytes:
    if not isinstance(text, str):
        raise InvalidResponse("A value of the response is missing.")
    try:
        return base64url.decode(text)
    except ValueError:
        raise InvalidResponse("A value of the response is not base64url.") from None


def _client_origin(response: Mapping[str, Any], kind: str, accepts_origin: AcceptsOrigin) -> str:
    """Return the origin that the browser wrote down, if it is ours and no frame of another site's page."""
    try:
        client = json.loads(_bytes_of(_inner(response).get("clientDataJSON")))
    except (ValueError, RecursionError):
        raise InvalidResponse("The client data is malformed.") from None
    if not isinstance(client, dict) or client.get("type") != kind:
        raise InvalidResponse("The client data is of another kind.")
    origin = client.get("origin")
    if not isinstance(origin, str) or not accepts_origin(origin):
        raise InvalidResponse("The origin is not accepted.")
    if client.get("crossOrigin", False) is not False or client.get("topOrigin") is not None:
        raise InvalidResponse("The page is embedded in another site's.")
    return origin


def _transports(response: Mapping[str, Any]) -> tuple[str, ...]:
    given = _inner(response).get("transports")
    if not isinstance(given, list):
        return ()
    known = {text for text in given if isinstance(text, str) and text in _TRANSPORTS}
    return tuple(sorted(known))[:MAX_TRANSPORTS]


# --- the authenticator's data ----------------------------------------------------------------------------------------
def authenticator_data_of(attestation: bytes) -> bytes:
    import cbor2

    found = cbor2.loads(attestation)["authData"]
    if not isinstance(found, bytes):
        raise InvalidResponse("The authenticator data is malformed.")
    return found


def _check_authenticator_data(data: bytes) -> None:
    """Refuse authenticator data whose parts do not end where they should. Source: WebAuthn Level 3, section 6.1."""
    if len(data) < _HEADER_BYTES:
        raise InvalidResponse("The authenticator data is too short.")
    at = _HEADER_BYTES
    if data[32] & _ATTESTED:
        id_length = int.from_bytes(data[at + 16 : at + 18], "big")
        if not 0 < id_length <= MAX_CREDENTIAL_ID:
            raise InvalidResponse("The credential id has an impossible length.")
        at = _end_of_item(data, at + 18 + id_length)
    if data[32] & _EXTENSIONS:
        at = _end_of_item(data, at)
    if at != len(data):
        raise InvalidResponse("The authenticator data does not end where it should.")


def _check_public_key(cose_key: bytes) -> None:
    """Refuse a key whose type, curve or size does not belong to its algorithm. Source: RFC 9053, RFC 8230."""
    import cbor2

    key = cbor2.loads(cose_key)
    match key.get(3), key.get(1), key.get(-1):
        case -7, 2, 1:
            fits = _has_bytes(key, -2, 32) and _has_bytes(key, -3, 32)
        case -8, 1, 6:
            fits = _has_bytes(key, -2, 32)
        case -257, 3, bytes(modulus):
            exponent = int.from_bytes(key.get(-2, b""), "big")
            fits = int.from_bytes(modulus, "big").bit_length() in _RSA_BITS
            fits = fits and exponent % 2 == 1 and 3 <= exponent < 2**32
        case _:
            fits = False
    if not fits:
        raise InvalidResponse("The public key does not fit its algorithm.")
    _load(cose_key)


def _has_bytes(key: Mapping[int, Any], name: int, length: int) -> bool:
    value = key.get(name)
    return isinstance(value, bytes) and len(value) == length


def _load(cose_key: bytes) -> None:
    """Make sure that the key is one: a point that is not on its curve raises here, not at the first sign-in."""
    from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography

    decoded_public_key_to_cryptography(decode_credential_public_key(cose_key))


def _end_of_item(data: bytes, at: int, depth: int = 0) -> int:
    """
    Return where the CBOR item that begins at *at* ends.

    Only what authenticators write is accepted: definite lengths, no tags, no floats, little nesting. A decoder that
    makes objects of dates, fractions and patterns never sees anything else.

    Raises:
        InvalidResponse: The item is something else, or goes beyond the end.

    Source: CTAP 2.1, section 8 (message encoding), RFC 8949 section 3.
    """
    if depth > MAX_CBOR_DEPTH or at >= len(data):
        raise InvalidResponse("The CBOR is malformed.")
    kind, short = data[at] >> 5, data[at] & 0x1F
    at += 1
    value = short
    if short >= 24:
        size = 1 << (short - 24)
        if short > 27 or at + size > len(data):
            raise InvalidResponse("The CBOR is malformed.")
        value = int.from_bytes(data[at : at + size], "big")
        at += size
    match kind:
        case 0 | 1:
            return at
        case 2 | 3:
            if at + value > len(data):
                raise InvalidResponse("The CBOR is malformed.")
            return at + value
        case 4 | 5:
            for _ in range(value * (kind - 3)):
                at = _end_of_item(data, at, depth + 1)
            return at
        case 7 if short in (20, 21, 22):
            return at
        case _:
            raise InvalidResponse("The CBOR is of a kind that no authenticator writes.")
