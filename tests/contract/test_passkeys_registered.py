"""What is refused when a passkey is registered, and where there are passkeys at all."""

from __future__ import annotations

import hashlib

import cbor2
import pytest

from czo_auth.core.limits import MAX_PASSKEYS
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.passkeys import (
    answer_registration,
    begin_registration,
    begin_sign_in,
    finish_sign_in,
    register,
    sign_in,
)
from tests.support.authenticator import (
    BS,
    UP,
    UV,
    Authenticator,
    Credential,
    Lie,
)

REGISTRATION_LIES = {
    "another site's origin": Lie(origin="https://evil.example"),
    "another relying party": Lie(rp_id="evil.example"),
    "an assertion's type": Lie(type="webauthn.get"),
    "another challenge": Lie(challenge=bytes(32)),
    "no user verification": Lie(flags=UP),
    "no user presence": Lie(flags=UV),
    "backed up, but not eligible": Lie(flags=UP | UV | BS),
    "a frame of another site": Lie(cross_origin=True),
    "an algorithm that was not offered": Lie(algorithm=-35),
    "another algorithm than the key's": Lie(algorithm=-257),
    "no attested data": Lie(
        authenticator_data=hashlib.sha256(b"auth.test").digest() + bytes([5, 0, 0, 0, 0])
    ),
    "an attestation that was not asked for": Lie(
        attestation=cbor2.dumps({"fmt": "fido-u2f", "attStmt": {"sig": b"1", "x5c": [b"1"]}, "authData": b""})
    ),
    "a statement where there is none": Lie(
        attestation=cbor2.dumps({"fmt": "none", "attStmt": {"sig": b"1"}, "authData": bytes(37)})
    ),
    "no CBOR": Lie(attestation=b"\xff"),
    "half of it": Lie(attestation=b"\xa3\x63fmt\x64none"),
    "a map of as many as there can be": Lie(attestation=b"\xbb" + b"\xff" * 8),
    "bytes without end": Lie(attestation=b"\x5f" + b"\x41a" * 100),
    "deep nesting": Lie(attestation=b"\x81" * 30_000),
    "a tag": Lie(attestation=b"\xc4\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01"),
    "a long list": Lie(attestation=b"\x99\x75\x30" + b"\x00" * 30_000),
    "another thing behind it": Lie(attestation=cbor2.dumps({"fmt": "none", "attStmt": {}}) + b"\x00"),
    "nothing": Lie(more={"attestationObject": None}),
}


async def test_wrong_registrations_are_refused(timed_sqlite: Timed) -> None:
    _, session = await timed_sqlite.people.newcomer()
    for name, lie in REGISTRATION_LIES.items():
        device = Authenticator(timed_sqlite.api.origin)
        options = await begin_registration(timed_sqlite, session)
        answer = await answer_registration(timed_sqlite, session, options, device.create(options, lie))
        assert answer.status_code == 400, (name, answer.text)
        refused(answer, 400, "FAILED_TO_VERIFY_REGISTRATION")
    listed = await timed_sqlite.api.get("/passkey/list-user-passkeys", bearer=session.token)
    assert accepted(listed) == []


@pytest.mark.parametrize(
    "key",
    [
        {1: 2, 3: -7, -1: 2, -2: bytes(48), -3: bytes(48)},
        {1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)},
        {1: 2, 3: -8, -1: 6, -2: bytes(32)},
        {1: 1, 3: -8, -1: 6, -2: bytes(16)},
        {1: 3, 3: -257, -1: bytes([255]) * 128, -2: b"\x01\x00\x01"},
        {1: 3, 3: -257, -1: bytes([255]) * 1024, -2: b"\x01\x00\x01"},
        {1: 3, 3: -257, -1: bytes([255]) * 256, -2: b"\x01"},
        {1: 7, 3: -7},
        {3: -7},
    ],
)
async def test_keys_that_do_not_fit_their_algorithm_are_refused(
    timed_sqlite: Timed, key: dict[int, object]
) -> None:
    _, session = await timed_sqlite.people.newcomer()
    options = await begin_registration(timed_sqlite, session)
    device = Authenticator(timed_sqlite.api.origin)
    credential = Credential(options["rp"]["id"], bytes(16), algorithm="ES256")
    credential.cose_key = lambda: key  # type: ignore[method-assign, assignment, return-value]
    answer = await answer_registration(timed_sqlite, session, options, device.attest(credential, options))
    refused(answer, 400, "FAILED_TO_VERIFY_REGISTRATION")


@pytest.mark.parametrize(("length", "status"), [(1, 200), (1023, 200), (1024, 400)])
async def test_credential_ids_have_at_most_1023_bytes(timed_sqlite: Timed, length: int, status: int) -> None:
    device = Authenticator(timed_sqlite.api.origin)
    _, session = await timed_sqlite.people.newcomer()
    options = await begin_registration(timed_sqlite, session)
    response = device.create(options, id_length=length)
    answer = await answer_registration(timed_sqlite, session, options, response)
    assert answer.status_code == status
    if status == 200:
        await sign_in(timed_sqlite, device)


async def test_credential_belongs_to_one_user(timed: Timed) -> None:
    device = Authenticator(timed.api.origin)
    account, session = await timed.people.newcomer()
    await register(timed, session, device)
    _, other = await timed.people.newcomer()
    for who in (session, other):
        options = await begin_registration(timed, who)
        again = device.attest(device.credentials[0], options)
        refused(await answer_registration(timed, who, options, again), 400, "PREVIOUSLY_REGISTERED")
    assert (await sign_in(timed, device)).body["user"]["id"] == account.id


async def test_account_has_at_most_20_passkeys(timed_sqlite: Timed) -> None:
    _, session = await timed_sqlite.people.newcomer()
    for _ in range(MAX_PASSKEYS - 1):
        await register(timed_sqlite, session, Authenticator(timed_sqlite.api.origin, algorithm="EdDSA"))
    first, second = [await begin_registration(timed_sqlite, session) for _ in range(2)]
    device = Authenticator(timed_sqlite.api.origin)
    accepted(await answer_registration(timed_sqlite, session, first, device.create(first)))
    late = await answer_registration(
        timed_sqlite, session, second, Authenticator(timed_sqlite.api.origin).create(second)
    )
    refused(late, 409, "PASSKEY_LIMIT_REACHED")
    begun = await timed_sqlite.api.get("/passkey/generate-register-options", bearer=session.token)
    refused(begun, 409, "PASSKEY_LIMIT_REACHED")


async def test_registration_needs_recent_proof(timed_sqlite: Timed) -> None:
    account, session = await timed_sqlite.people.newcomer()
    timed_sqlite.time.advance(minutes=11)
    begun = await timed_sqlite.api.get("/passkey/generate-register-options", bearer=session.token)
    refused(begun, 403, "REAUTHENTICATION_REQUIRED")
    fresh = await timed_sqlite.people.sign_in(account)
    await register(timed_sqlite, fresh, Authenticator(timed_sqlite.api.origin))


async def test_deployment_at_an_address_offers_no_passkeys(deploy_sqlite: Deploy) -> None:
    here = await deploy_sqlite(base_url="http://192.0.2.7:8000")
    _, session = await here.people.newcomer()
    for answer in (
        await here.api.get("/passkey/generate-authenticate-options"),
        await here.api.get("/passkey/generate-register-options", bearer=session.token),
        await here.api.post("/passkey/verify-authentication", {"response": {}, "ceremony": "x"}),
        await here.api.post("/passkey/verify-registration", {"response": {}}, bearer=session.token),
        await here.api.post("/two-factor/passkey-options", {}, bearer=session.token),
    ):
        refused(answer, 400, "PASSKEYS_NOT_AVAILABLE")
    assert "passkey" not in (await here.people.two_factor(session))["methods"]


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8123", "http://[::1]:8123", "http://localhost:8123"])
async def test_loopback_deployment_is_known_as_localhost(deploy_sqlite: Deploy, base_url: str) -> None:
    here = await deploy_sqlite(base_url=base_url)
    _, session = await here.people.newcomer()
    device = Authenticator("http://localhost:8123")
    options = await begin_registration(here, session)
    assert options["rp"]["id"] == "localhost"
    accepted(await answer_registration(here, session, options, device.create(options)))
    options = await begin_sign_in(here)
    body = {"response": device.get(options), "ceremony": options["ceremony"]}
    answer = await here.api.post("/passkey/verify-authentication", body, origin="http://localhost:8123")
    accepted(answer)
    stranger = await here.api.post("/passkey/verify-authentication", body, origin="http://localhost:9999")
    refused(stranger, 403, "INVALID_ORIGIN")


async def test_relying_party_id_above_the_host_serves_its_trusted_neighbors(deploy_sqlite: Deploy) -> None:
    here = await deploy_sqlite(
        base_url="https://auth.shop.example",
        passkey_rp_id="shop.example",
        trusted_origins="https://*.shop.example,https://other.example",
    )
    _, session = await here.people.newcomer()
    device = Authenticator("https://www.shop.example")
    options = await begin_registration(here, session)
    assert options["rp"]["id"] == "shop.example"
    accepted(await answer_registration(here, session, options, device.create(options)))
    for origin, status in (
        ("https://www.shop.example", 200),
        ("https://auth.shop.example", 200),
        ("https://other.example", 401),
        ("https://evilshop.example", 401),
        ("https://shop.example", 401),
    ):
        options = await begin_sign_in(here)
        response = device.get(options, Lie(origin=origin))
        assert (await finish_sign_in(here, options, response)).status_code == status, origin
