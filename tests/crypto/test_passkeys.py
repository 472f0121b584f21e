"""WebAuthn responses of any shape, and the handles of ceremonies."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import suppress
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from czo_auth.crypto import base64url, ceremonies, passkeys, tokens
from czo_auth.crypto.passkeys import InvalidResponse
from tests.support.authenticator import Authenticator, Lie

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
RP_ID, ORIGIN, CHALLENGE = "shop.example", "https://shop.example", bytes(32)


def is_own(origin: str) -> bool:
    return origin == ORIGIN


def creation() -> dict[str, Any]:
    return {
        "rp": {"id": RP_ID},
        "user": {"id": base64url.encode(bytes(16))},
        "challenge": base64url.encode(CHALLENGE),
        "pubKeyCredParams": [{"alg": number} for number in passkeys.ALGORITHMS],
    }


def registered(response: dict[str, Any]) -> passkeys.NewCredential:
    return passkeys.verify_registration(response, challenge=CHALLENGE, rp_id=RP_ID, accepts_origin=is_own)


def test_registration_of_an_honest_authenticator_verifies() -> None:
    device = Authenticator(ORIGIN, synced=True)
    credential = registered(device.create(creation()))
    assert credential.credential_id == device.credentials[0].id
    assert (credential.backup_eligible, credential.backed_up) == (True, True)
    assert credential.transports == ("hybrid", "internal")


def test_self_attestation_is_the_only_other_one_that_browsers_let_through() -> None:
    device = Authenticator(ORIGIN)
    options = creation()
    honest = device.create(options)
    attestation = cbor2.loads(base64url.decode(honest["response"]["attestationObject"]))
    client_data = base64url.decode(honest["response"]["clientDataJSON"])
    signed = attestation["authData"] + hashlib.sha256(client_data).digest()
    statement = {"alg": -7, "sig": device.credentials[0].sign(signed)}
    packed = cbor2.dumps({"fmt": "packed", "attStmt": statement, "authData": attestation["authData"]})
    honest["response"]["attestationObject"] = base64url.encode(packed)
    assert registered(honest).sign_count == 0
    with_chain = {
        "fmt": "packed",
        "attStmt": {**statement, "x5c": [b"1"]},
        "authData": attestation["authData"],
    }
    honest["response"]["attestationObject"] = base64url.encode(cbor2.dumps(with_chain))
    with pytest.raises(InvalidResponse):
        registered(honest)


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_bytes_for_an_attestation_are_refused_in_one_way(data: bytes) -> None:
    device = Authenticator(ORIGIN, algorithm="EdDSA")
    with pytest.raises(InvalidResponse):
        registered(device.create(creation(), Lie(attestation=data or b"\x00")))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_changed_bytes_of_an_attestation_never_raise_anything_else(data: st.DataObject) -> None:
    device = Authenticator(ORIGIN, algorithm="EdDSA")
    response = device.create(creation())
    raw = bytearray(base64url.decode(response["response"]["attestationObject"]))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    response["response"]["attestationObject"] = base64url.encode(bytes(raw))
    with suppress(InvalidResponse):
        registered(response)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.deep
@given(
    st.dictionaries(
        st.sampled_from(["id", "rawId", "type", "response", "clientExtensionResults"]),
        JSON
        | st.dictionaries(
            st.sampled_from(
                ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]
            ),
            JSON | st.binary(max_size=60).map(base64url.encode),
        ),
    )
)
@settings(max_examples=200, deadline=None)
def test_any_json_is_refused_in_one_way(response: dict[str, Any]) -> None:
    with pytest.raises(InvalidResponse):
        registered(response)
    with pytest.raises(InvalidResponse):
        passkeys.verify_assertion(
            response, challenge=CHALLENGE, rp_id=RP_ID, accepts_origin=is_own, public_key=b"\xa0"
        )
    for read in (passkeys.user_handle_of, passkeys.credential_id_of):
        with suppress(InvalidResponse):
            read(response)


# --- ceremonies ------------------------------------------------------------------------------------------------------
def test_handle_is_a_token_that_its_key_and_its_owner_recognize() -> None:
    handle = ceremonies.new_handle(KEY, bound_to=["register", "a"], issued_at=1_800_000_000)
    assert tokens.is_well_formed(handle, tokens.CEREMONY)
    assert ceremonies.issued_at(handle) == 1_800_000_000
    assert ceremonies.find_key(handle, [OTHER_KEY, KEY], bound_to=["register", "a"]) == KEY
    assert ceremonies.find_key(handle, [OTHER_KEY], bound_to=["register", "a"]) is None
    for place in (["register", "b"], ["sign_in", "a"], ["register"], ["register", "a", ""], ["register,a"]):
        assert ceremonies.find_key(handle, [KEY], bound_to=place) is None


def test_handle_and_challenge_are_macs_that_another_version_computes_alike() -> None:
    """Processes of two versions serve one ceremony, so the construction may not change."""
    assert ceremonies.PURPOSE == "passkey-ceremony"
    raw = bytes.fromhex("6b49d200") + bytes(range(12))
    tag = hmac.digest(KEY, b"handle\x00" + raw + b'["register","a"]', "sha256")[:16]
    handle = "czw_" + base64url.encode(raw + tag)
    assert ceremonies.find_key(handle, [KEY], bound_to=["register", "a"]) == KEY
    assert ceremonies.issued_at(handle) == 1_800_000_000
    assert ceremonies.challenge_of(handle, KEY) == hmac.digest(KEY, b"challenge\x00" + raw + tag, "sha256")


def test_challenges_are_32_bytes_and_differ() -> None:
    handles = [ceremonies.new_handle(KEY, bound_to=["sign_in"], issued_at=1_800_000_000) for _ in range(50)]
    challenges = {ceremonies.challenge_of(handle, KEY) for handle in handles}
    assert len(challenges) == 50
    assert {len(challenge) for challenge in challenges} == {32}
    assert not challenges & {ceremonies.challenge_of(handle, OTHER_KEY) for handle in handles}


@given(st.integers(0, 42), st.sampled_from("ABCDwxyz0189-_"))
def test_changed_handle_belongs_to_no_one(place: int, character: str) -> None:
    handle = ceremonies.new_handle(KEY, bound_to=["sign_in"], issued_at=1_800_000_000)
    changed = handle[: 4 + place] + character + handle[5 + place :]
    if changed != handle:
        assert ceremonies.find_key(changed, [KEY], bound_to=["sign_in"]) is None


def test_nothing_of_a_response_is_in_a_refusal() -> None:
    device = Authenticator(ORIGIN)
    response = device.create(creation(), Lie(origin="https://secret.example"))
    with pytest.raises(InvalidResponse) as refused:
        registered(response)
    assert "secret" not in json.dumps(str(refused.value))
