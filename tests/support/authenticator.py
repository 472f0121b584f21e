"""
A WebAuthn authenticator and browser in software, for tests that cannot have a person touch a key.

It does what a browser and an authenticator do together, by WebAuthn Level 3, and lies in every way that tests ask for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

Algorithm = Literal["ES256", "EdDSA", "RS256"]
Json = dict[str, Any]

UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80
"""Flags of the authenticator data. Source: WebAuthn Level 3, section 6.1."""
_NUMBERS = {"ES256": -7, "EdDSA": -8, "RS256": -257}


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True)
class Lie:
    """What is said instead of the truth; None says the truth."""

    origin: str | None = None
    rp_id: str | None = None
    type: str | None = None
    challenge: bytes | None = None
    cross_origin: bool | None = None
    top_origin: str | None = None
    flags: int | None = None
    sign_count: int | None = None
    algorithm: int | None = None
    user_handle: bytes | None = None
    client_data: bytes | None = None
    authenticator_data: bytes | None = None
    attestation: bytes | None = None
    signature: bytes | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    """Replaces members of the response itself."""


HONEST = Lie()


class Credential:
    """One key pair of an authenticator, and whom it belongs to."""

    def __init__(self, rp_id: str, user_handle: bytes, *, algorithm: Algorithm, id_length: int = 32) -> None:
        self.id = os.urandom(id_length)
        self.rp_id = rp_id
        self.user_handle = user_handle
        self.algorithm = algorithm
        self.sign_count = 0
        self._key: Any
        match algorithm:
            case "ES256":
                self._key = ec.generate_private_key(ec.SECP256R1())
            case "EdDSA":
                self._key = ed25519.Ed25519PrivateKey.generate()
            case _:
                self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def cose_key(self) -> dict[int, object]:
        public = self._key.public_key()
        match self.algorithm:
            case "ES256":
                point = public.public_numbers()
                return {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
            case "EdDSA":
                return {1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()}
            case _:
                numbers = public.public_numbers()
                return {1: 3, 3: -257, -1: numbers.n.to_bytes(256, "big"), -2: numbers.e.to_bytes(3, "big")}

    def sign(self, data: bytes) -> bytes:
        signature: bytes
        match self.algorithm:
            case "ES256":
                signature = self._key.sign(data, ec.ECDSA(SHA256()))
            case "EdDSA":
                signature = self._key.sign(data)
            case _:
                signature = self._key.sign(data, padding.PKCS1v15(), SHA256())
        return signature


class Authenticator:
    """
    Holds credentials and answers ceremonies.

    Args:
        synced: Whether its passkeys are synced to other devices.
        counts: Whether it has a signature counter; synced ones have none.
    """

    def __init__(
        self, origin: str, *, algorithm: Algorithm = "ES256", synced: bool = False, counts: bool = True
    ) -> None:
        self.origin = origin
        self.algorithm = algorithm
        self.synced = synced
        self.counts = counts and not synced
        self.credentials: list[Credential] = []

    # --- navigator.credentials ---------------------------------------------------------------------------------------
    def create(self, options: Json, lie: Lie = HONEST, *, id_length: int = 32) -> Json:
        """Answer `navigator.credentials.create()` with JSON."""
        offered = [one["alg"] for one in options["pubKeyCredParams"]]
        assert _NUMBERS[self.algorithm] in offered
        excluded = {one["id"] for one in options.get("excludeCredentials", [])}
        assert not excluded & {encode(one.id) for one in self.credentials}, "InvalidStateError"
        credential = Credential(
            options["rp"]["id"],
            decode(options["user"]["id"]),
            algorithm=self.algorithm,
            id_length=id_length,
        )
        self.credentials.append(credential)
        return self.attest(credential, options, lie)

    def attest(self, credential: Credential, options: Json, lie: Lie = HONEST) -> Json:
        """Answer a creation with a credential that is there."""
        key = credential.cose_key()
        if lie.algorithm is not None:
            key[3] = lie.algorithm
        attested = (
            bytes(16)
            + len(credential.id).to_bytes(2, "big")
            + credential.id
            + cbor2.dumps(key, canonical=True)
        )
        data = lie.authenticator_data or self._data(credential, lie, AT) + attested
        attestation = lie.attestation or cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return {
            "id": encode(credential.id),
            "rawId": encode(credential.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "authenticatorAttachment": "platform",
            "response": {
                "clientDataJSON": encode(self._client_data("webauthn.create", options, lie)),
                "attestationObject": encode(attestation),
                "transports": ["internal", "hybrid"],
                **lie.more,
            },
        }

    def get(self, options: Json, lie: Lie = HONEST, *, credential: Credential | None = None) -> Json:
        """Answer `navigator.credentials.get()` with JSON."""
        credential = credential or self._chosen(options)
        if self.counts:
            credential.sign_count += 1
        data = lie.authenticator_data or self._data(credential, lie, 0)
        client_data = self._client_data("webauthn.get", options, lie)
        signature = credential.sign(data + hashlib.sha256(client_data).digest())
        handle = credential.user_handle if lie.user_handle is None else lie.user_handle
        return {
            "id": encode(credential.id),
            "rawId": encode(credential.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "authenticatorAttachment": "platform",
            "response": {
                "clientDataJSON": encode(client_data),
                "authenticatorData": encode(data),
                "signature": encode(signature if lie.signature is None else lie.signature),
                "userHandle": encode(handle),
                **lie.more,
            },
        }

    # --- how ---------------------------------------------------------------------------------------------------------
    def _chosen(self, options: Json) -> Credential:
        allowed = {one["id"] for one in options.get("allowCredentials", [])}
        fitting = [
            one
            for one in self.credentials
            if one.rp_id == options["rpId"] and (not allowed or encode(one.id) in allowed)
        ]
        assert fitting, "NotAllowedError"
        return fitting[-1]

    def _data(self, credential: Credential, lie: Lie, more: int) -> bytes:
        flags = UP | UV | (BE | BS if self.synced else 0)
        if lie.flags is not None:
            flags = lie.flags
        count = credential.sign_count if lie.sign_count is None else lie.sign_count
        return (
            hashlib.sha256((lie.rp_id or credential.rp_id).encode()).digest()
            + bytes([flags | more])
            + count.to_bytes(4, "big")
        )

    def _client_data(self, kind: str, options: Json, lie: Lie) -> bytes:
        if lie.client_data is not None:
            return lie.client_data
        challenge = options["challenge"] if lie.challenge is None else encode(lie.challenge)
        said: Json = {
            "type": lie.type or kind,
            "challenge": challenge,
            "origin": lie.origin or self.origin,
            "crossOrigin": bool(lie.cross_origin),
        }
        if lie.top_origin is not None:
            said["topOrigin"] = lie.top_origin
        return json.dumps(said, separators=(",", ":")).encode()
