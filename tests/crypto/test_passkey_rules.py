"""What is checked of a WebAuthn response beyond what the package checks: each rule refuses for its own reason."""

from __future__ import annotations

import json
from typing import Any

import cbor2
import pytest

from czo_auth.crypto import base64url, passkeys
from czo_auth.crypto.passkeys import InvalidResponse
from tests.support.authenticator import AT, BE, BS, ED, HONEST, UP, UV, Authenticator, Lie

RP_ID, ORIGIN, CHALLENGE = "shop.example", "https://shop.example", bytes(32)
CREATION: dict[str, Any] = {
    "rp": {"id": RP_ID},
    "user": {"id": base64url.encode(b"a user's handle")},
    "challenge": base64url.encode(CHALLENGE),
    "pubKeyCredParams": [{"alg": number} for number in passkeys.ALGORITHMS],
}
REQUEST: dict[str, Any] = {"rpId": RP_ID, "challenge": base64url.encode(CHALLENGE)}
DEVICE = Authenticator(ORIGIN, algorithm="EdDSA")
REGISTERED = DEVICE.create(CREATION)
CREDENTIAL = DEVICE.credentials[0]
HEADER = DEVICE._data(CREDENTIAL, HONEST, 0)
UNVERIFIED = "The assertion does not verify."
MALFORMED = "The CBOR is malformed."
OF_ANOTHER_KIND = "The CBOR is of a kind that no authenticator writes."
NOT_AT_THE_END = "The authenticator data does not end where it should."
IMPOSSIBLE_LENGTH = "The credential id has an impossible length."


def register(response: dict[str, Any], **more: Any) -> passkeys.NewCredential:
    return passkeys.verify_registration(
        response, challenge=CHALLENGE, rp_id=RP_ID, accepts_origin=ORIGIN.__eq__, **more
    )


def prove(response: dict[str, Any]) -> passkeys.Assertion:
    key = cbor2.dumps(CREDENTIAL.cose_key(), canonical=True)
    return passkeys.verify_assertion(
        response, challenge=CHALLENGE, rp_id=RP_ID, accepts_origin=ORIGIN.__eq__, public_key=key
    )


def why_not_registered(response: dict[str, Any], **more: Any) -> str | None:
    try:
        register(response, **more)
    except InvalidResponse as refusal:
        return str(refusal)
    return None


def why_not_proved(response: dict[str, Any]) -> str | None:
    try:
        prove(response)
    except InvalidResponse as refusal:
        return str(refusal)
    return None


def attested(
    cose_key: dict[int, object],
    *,
    credential_id: bytes = CREDENTIAL.id,
    flags: int = UP | UV,
    aaguid: bytes = bytes(16),
) -> bytes:
    header = HEADER[:32] + bytes([flags | AT]) + HEADER[33:]
    length = len(credential_id).to_bytes(2, "big")
    return header + aaguid + length + credential_id + cbor2.dumps(cose_key, canonical=True)


def registered_with(data: bytes, *, credential_id: bytes = CREDENTIAL.id) -> dict[str, Any]:
    response = DEVICE.attest(CREDENTIAL, CREATION, Lie(authenticator_data=data))
    return {**response, "id": base64url.encode(credential_id), "rawId": base64url.encode(credential_id)}


# --- ids and handles -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("length", [1, 2, 1023])
def test_credential_id_of_a_possible_length_is_read(length: int) -> None:
    raw = bytes(length)
    assert passkeys.credential_id_of({"id": base64url.encode(raw)}) == raw
    data = attested(CREDENTIAL.cose_key(), credential_id=raw)
    assert register(registered_with(data, credential_id=raw)).credential_id == raw


def test_model_of_the_authenticator_is_read() -> None:
    """No byte of it belongs to the length of the credential id, which comes next."""
    data = attested(CREDENTIAL.cose_key(), aaguid=b"\xff" * 16)
    assert register(registered_with(data)).aaguid == "ffffffff-ffff-ffff-ffff-ffffffffffff"


@pytest.mark.parametrize("length", [0, 1024])
def test_credential_id_of_another_length_is_refused(length: int) -> None:
    raw = bytes(length)
    with pytest.raises(InvalidResponse, match=IMPOSSIBLE_LENGTH):
        passkeys.credential_id_of({"id": base64url.encode(raw)})
    data = attested(CREDENTIAL.cose_key(), credential_id=raw)
    assert why_not_registered(registered_with(data)) == IMPOSSIBLE_LENGTH


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, IMPOSSIBLE_LENGTH),
        ({"id": 5}, IMPOSSIBLE_LENGTH),
        ({"id": "a"}, "The credential id is malformed."),
        ({"id": "?"}, "The credential id is malformed."),
    ],
)
def test_malformed_credential_id_is_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidResponse, match=reason):
        passkeys.credential_id_of(given)
    assert (
        why_not_registered({**{name: REGISTERED[name] for name in REGISTERED if name != "id"}, **given})
        == reason
    )


def test_registration_under_another_id_than_the_attested_one_is_refused() -> None:
    other = base64url.encode(b"another id")
    assert why_not_registered({**REGISTERED, "id": other, "rawId": other}) == "The credential ids differ."


def test_user_handle_is_read() -> None:
    assert passkeys.user_handle_of({"response": {"userHandle": base64url.encode(b"a user")}}) == b"a user"
    for absent in ({}, {"userHandle": None}, {"userHandle": ""}):
        assert passkeys.user_handle_of({"response": absent}) is None


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({}, "The response is malformed."),
        ({"response": "text"}, "The response is malformed."),
        ({"response": {"userHandle": 5}}, "A value of the response is missing."),
        ({"response": {"userHandle": "?"}}, "A value of the response is not base64url."),
    ],
)
def test_malformed_user_handle_is_refused(response: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidResponse, match=reason):
        passkeys.user_handle_of(response)


# --- the client's data -----------------------------------------------------------------------------------------------
def client_data(**changes: object) -> bytes:
    said = {"type": "webauthn.get", "challenge": base64url.encode(CHALLENGE), "origin": ORIGIN, **changes}
    return json.dumps(said).encode()


@pytest.mark.parametrize(
    "said", [client_data(), client_data(crossOrigin=False), client_data(topOrigin=None), client_data(more=1)]
)
def test_client_data_of_a_page_of_ours_is_accepted(said: bytes) -> None:
    assert why_not_proved(DEVICE.get(REQUEST, Lie(client_data=said))) is None


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"{", "The client data is malformed."),
        (b"\xff", "The client data is malformed."),
        (b"[" * 100_000, "The client data is malformed."),
        (b"[]", "The client data is of another kind."),
        (client_data(type="webauthn.create"), "The client data is of another kind."),
        (client_data(type=None), "The client data is of another kind."),
        (client_data(origin="https://other.example"), "The origin is not accepted."),
        (client_data(origin=None), "The origin is not accepted."),
        (client_data(origin=["https://shop.example"]), "The origin is not accepted."),
        (client_data(crossOrigin=True), "The page is embedded in another site's."),
        (client_data(crossOrigin=None), "The page is embedded in another site's."),
        (client_data(topOrigin="https://other.example"), "The page is embedded in another site's."),
        (client_data(challenge=base64url.encode(bytes(31))), UNVERIFIED),
    ],
)
def test_client_data_that_says_anything_else_is_refused(said: bytes, reason: str) -> None:
    assert why_not_proved(DEVICE.get(REQUEST, Lie(client_data=said))) == reason


def test_client_data_of_a_registration_is_held_to_the_same() -> None:
    for lie, reason in [
        (Lie(type="webauthn.get"), "The client data is of another kind."),
        (Lie(origin="https://other.example"), "The origin is not accepted."),
        (Lie(cross_origin=True), "The page is embedded in another site's."),
        (Lie(challenge=bytes(31)), "The registration does not verify."),
        (Lie(rp_id="other.example"), "The registration does not verify."),
    ]:
        assert why_not_registered(DEVICE.attest(CREDENTIAL, CREATION, lie)) == reason


# --- results ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("flags", "eligible", "backed_up"), [(0, False, False), (BE, True, False), (BE | BS, True, True)]
)
def test_result_has_the_counter_and_the_flags(flags: int, eligible: bool, backed_up: bool) -> None:
    lie = Lie(flags=UP | UV | flags, sign_count=1)
    assert prove(DEVICE.get(REQUEST, lie)) == passkeys.Assertion(
        sign_count=1, backup_eligible=eligible, backed_up=backed_up
    )
    assert register(DEVICE.attest(CREDENTIAL, CREATION, lie)) == passkeys.NewCredential(
        credential_id=CREDENTIAL.id,
        public_key=cbor2.dumps(CREDENTIAL.cose_key(), canonical=True),
        sign_count=1,
        aaguid="00000000-0000-0000-0000-000000000000",
        backup_eligible=eligible,
        backed_up=backed_up,
        transports=("hybrid", "internal"),
    )


def test_user_must_be_verified_and_present_unless_the_browser_asked_nobody() -> None:
    for flags in (0, UP, UV):
        assert why_not_proved(DEVICE.get(REQUEST, Lie(flags=flags))) == UNVERIFIED
        made = DEVICE.attest(CREDENTIAL, CREATION, Lie(flags=flags))
        assert why_not_registered(made) == "The registration does not verify."
    assert (
        why_not_registered(DEVICE.attest(CREDENTIAL, CREATION, Lie(flags=UV)), needs_presence=False) is None
    )
    unverified = DEVICE.attest(CREDENTIAL, CREATION, Lie(flags=UP))
    assert why_not_registered(unverified, needs_presence=False) == "The registration does not verify."


def test_signature_of_something_else_is_refused() -> None:
    assert why_not_proved(DEVICE.get(REQUEST, Lie(signature=CREDENTIAL.sign(b"else")))) == UNVERIFIED
    assert why_not_proved(DEVICE.get(REQUEST, Lie(rp_id="other.example"))) == UNVERIFIED
    assert why_not_proved({"response": {**DEVICE.get(REQUEST)["response"]}}) == UNVERIFIED


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["usb", "nfc", "smart-card", "ble", "cable", "hybrid", "internal"], None),
        (["usb", "usb", "telepathy", 5, ["ble"], None], ("usb",)),
        ([], ()),
        ("usb", ()),
        (None, ()),
    ],
)
def test_transports_that_are_known_are_kept(given: object, kept: tuple[str, ...] | None) -> None:
    credential = register(DEVICE.attest(CREDENTIAL, CREATION, Lie(more={"transports": given})))
    everything = ("ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb")
    assert credential.transports == (everything if kept is None else kept)


# --- attestations ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ({"fmt": "fido-u2f", "attStmt": {}}, "This attestation was not asked for."),
        (
            {"fmt": "packed", "attStmt": {"alg": -8, "sig": b"s", "x5c": [b"c"]}},
            "This attestation was not asked for.",
        ),
        ({"fmt": "packed", "attStmt": {"alg": -8, "sig": b"s"}}, "The registration does not verify."),
    ],
)
def test_attestation_that_was_not_asked_for_is_refused(statement: dict[str, Any], reason: str) -> None:
    attestation = cbor2.dumps({**statement, "authData": attested(CREDENTIAL.cose_key())})
    assert why_not_registered(DEVICE.attest(CREDENTIAL, CREATION, Lie(attestation=attestation))) == reason


def test_attestation_object_ends_with_its_last_byte() -> None:
    attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": attested(CREDENTIAL.cose_key())})
    assert why_not_registered(DEVICE.attest(CREDENTIAL, CREATION, Lie(attestation=attestation))) is None
    longer = DEVICE.attest(CREDENTIAL, CREATION, Lie(attestation=attestation + b"\x00"))
    assert why_not_registered(longer) == "The attestation object is malformed."


def test_authenticator_data_of_an_attestation_are_bytes() -> None:
    assert passkeys.authenticator_data_of(cbor2.dumps({"authData": b"data"})) == b"data"
    with pytest.raises(InvalidResponse, match="malformed"):
        passkeys.authenticator_data_of(cbor2.dumps({"authData": "text"}))


# --- public keys -----------------------------------------------------------------------------------------------------
NEW_KEY = Authenticator(ORIGIN)
NEW_KEY.create(CREATION)
EC = NEW_KEY.credentials[0].cose_key()
ED_KEY = CREDENTIAL.cose_key()


def rsa_key(bits: int, exponent: int) -> dict[int, object]:
    length = (exponent.bit_length() + 7) // 8
    modulus = ((1 << (bits - 1)) | 1).to_bytes((bits + 7) // 8, "big")
    return {1: 3, 3: -257, -1: modulus, -2: exponent.to_bytes(length, "big")}


@pytest.mark.parametrize(
    "cose_key",
    [EC, ED_KEY, rsa_key(2048, 65537), rsa_key(2048, 3), rsa_key(4096, 65537), rsa_key(3072, 2**32 - 1)],
)
def test_public_key_that_fits_its_algorithm_is_accepted(cose_key: dict[int, object]) -> None:
    data = attested(cose_key)
    assert register(registered_with(data)).public_key == cbor2.dumps(cose_key, canonical=True)


@pytest.mark.parametrize(
    "cose_key",
    [
        {**EC, 1: 1},
        {**EC, -1: 2},
        {**EC, -1: 6},
        {**EC, -2: bytes(31)},
        {**EC, -2: bytes(33)},
        {**EC, -2: "x" * 32},
        {**EC, -3: bytes(31)},
        {**EC, -3: bytes(33)},
        {**ED_KEY, 1: 2},
        {**ED_KEY, -1: 4},
        {**ED_KEY, -2: bytes(31)},
        {**ED_KEY, -2: bytes(33)},
        rsa_key(2047, 65537),
        rsa_key(4097, 65537),
        rsa_key(2048, 1),
        rsa_key(2048, 2),
        rsa_key(2048, 65536),
        rsa_key(2048, 2**32 + 1),
        {**rsa_key(2048, 65537), 1: 2},
        {**rsa_key(2048, 65537), -1: 2048},
    ],
)
def test_public_key_that_does_not_fit_its_algorithm_is_refused(cose_key: dict[int, object]) -> None:
    reason = why_not_registered(registered_with(attested(cose_key)))
    assert reason in ("The public key does not fit its algorithm.", "The registration does not verify.")


@pytest.mark.parametrize("coordinate", [-2, -3])
def test_coordinate_with_a_leading_zero_too_many_is_refused(coordinate: int) -> None:
    """The package takes it for the same number, so the length is all that is wrong with it."""
    longer = b"\x00" + bytes(EC[coordinate])  # type: ignore[call-overload]
    reason = why_not_registered(registered_with(attested({**EC, coordinate: longer})))
    assert reason == "The public key does not fit its algorithm."


@pytest.mark.parametrize(
    "cose_key", [{**EC, -2: bytes(32)}, {**EC, 3: -257}, {**ED_KEY, 3: -7}, {**EC, 3: -35}]
)
def test_public_key_that_is_none_is_refused(cose_key: dict[int, object]) -> None:
    assert why_not_registered(registered_with(attested(cose_key))) is not None


# --- the authenticator's data ----------------------------------------------------------------------------------------
def why_data_are_refused(data: bytes) -> str | None:
    return why_not_proved(DEVICE.get(REQUEST, Lie(authenticator_data=data)))


def with_extensions(item: bytes) -> bytes:
    return HEADER[:32] + bytes([UP | UV | ED]) + HEADER[33:] + item


def is_readable(item: bytes) -> bool:
    """Whether *item* is taken for one whole CBOR item; the package may refuse the data for other reasons."""
    return why_data_are_refused(with_extensions(item)) in (None, UNVERIFIED)


def test_authenticator_data_end_where_their_parts_do() -> None:
    assert why_data_are_refused(HEADER) is None
    assert why_data_are_refused(HEADER[:-1]) == "The authenticator data is too short."
    assert why_data_are_refused(HEADER + b"\x00") == NOT_AT_THE_END
    assert why_data_are_refused(with_extensions(b"\xa0")) is None
    assert why_data_are_refused(with_extensions(b"")) == MALFORMED
    assert why_data_are_refused(with_extensions(b"\xa0\x00")) == NOT_AT_THE_END
    both = attested(ED_KEY, flags=UP | UV | ED) + b"\xa0"
    assert why_not_registered(registered_with(both)) is None
    # The package refuses these first.
    assert why_not_registered(registered_with(both + b"\x00")) is not None
    assert why_not_registered(registered_with(attested(ED_KEY) + b"\xa0")) is not None


@pytest.mark.parametrize(
    "item",
    [
        *(
            b"\x00",
            b"\x17",
            b"\x20",
            b"\x18\x18",
            b"\x19\x01\x00",
            b"\x1a\x00\x01\x00\x00",
            b"\x1b\x01" + bytes(7),
        ),
        *(b"\x40", b"\x43abc", b"\x58\x18" + bytes(24), b"\x59\x01\x00" + bytes(256), b"\x60", b"\x63abc"),
        *(b"\x80", b"\x82\x01\x02", b"\x82\x81\x01\x02", b"\x98\x18" + bytes(24)),
        *(b"\xa0", b"\xa1\x01\x02", b"\xa2\x01\x02\x03\x81\x04", b"\xf4", b"\xf5", b"\xf6"),
        b"\x81" * 8 + b"\x00",
        b"\xa1\x00" * 8 + b"\x00",
    ],
)
def test_cbor_that_authenticators_write_is_read_to_its_end(item: bytes) -> None:
    assert is_readable(item)
    assert why_data_are_refused(with_extensions(item + b"\x00")) == NOT_AT_THE_END
    assert why_data_are_refused(with_extensions(item[:-1])) == MALFORMED


@pytest.mark.parametrize(
    "item", [b"\x1c" + bytes(16), b"\x1d", b"\x1f", b"\x5f\x41a\xff", b"\x9f\xff", b"\xbf\xff"]
)
def test_cbor_of_no_definite_length_is_refused(item: bytes) -> None:
    assert why_data_are_refused(with_extensions(item)) == MALFORMED


@pytest.mark.parametrize(
    "item", [b"\xc0\x60", b"\xd8\x23\x60", b"\xf7", b"\xf3", b"\xf9\x00\x00", b"\xfa" + bytes(4)]
)
def test_cbor_of_other_kinds_is_refused(item: bytes) -> None:
    assert why_data_are_refused(with_extensions(item)) == OF_ANOTHER_KIND


@pytest.mark.parametrize("item", [b"\x81" * 9 + b"\x00", b"\xa1\x00" * 9 + b"\x00", b"\x81" * 20_000])
def test_cbor_that_is_nested_deeply_is_refused(item: bytes) -> None:
    assert why_data_are_refused(with_extensions(item)) == MALFORMED
