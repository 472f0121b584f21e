"""Access tokens: what they say, and which are believed (docs/reference/rest.md; S21)."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey

from czo_auth.core.context import system_context
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.deployments import Deployment, Timed
from tests.contract.people import Session
from tests.contract.tokens import part_of, spelled
from tests.support.settings import HERE


async def published(here: Deployment) -> KeySet:
    return KeySet.import_key_set(accepted(await here.api.get("/jwks")))


async def claims_of(here: Deployment, session: Session) -> dict[str, Any]:
    """Verify a token offline, as another service does, with the published keys."""
    return dict(jwt.decode(session.access_token, await published(here), algorithms=["ES256"]).claims)


async def test_keys_are_published_without_their_private_halves(live: Live) -> None:
    keys = accepted(await live.api.get("/jwks"))["keys"]
    assert len(keys) >= 1
    for key in keys:
        assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
    elsewhere = await live.api.http.get("/.well-known/jwks.json")
    assert elsewhere.json()["keys"] == keys


async def test_claims_are_those_of_the_contract(live: Live) -> None:
    account, session = await live.people.newcomer()
    assert part_of(session.access_token, 0).keys() == {"typ", "alg", "kid"}
    assert part_of(session.access_token, 0)["typ"] == "at+jwt"
    assert part_of(session.access_token, 0)["alg"] == "ES256"
    claims = await claims_of(live, session)
    assert set(claims) == {
        *("iss", "aud", "sub", "act_type", "sid", "amr", "aal", "auth_time", "iat", "exp", "jti"),
    }
    assert claims["iss"] == claims["aud"] == live.api.origin.replace("127.0.0.1", "localhost")
    assert (claims["sub"], claims["act_type"], claims["sid"]) == (account.id, "customer", session.id)
    assert (claims["amr"], claims["aal"]) == (["pwd"], 1)
    assert claims["exp"] - claims["iat"] == 900
    signed_in = datetime.fromisoformat(session.body["session"]["authTime"])
    assert claims["auth_time"] == int(signed_in.timestamp())


async def test_second_factor_shows_in_the_claims(live: Live) -> None:
    account = live.enrolled_user
    proved = await claims_of(live, await live.people.sign_in(account))
    assert (proved["amr"], proved["aal"]) == (["pwd", "otp"], 2)
    code = account.codes.pop()
    answer = await live.people.redeem(code, challenge=await live.people.challenge(account))
    redeemed = await claims_of(live, Session.of(answer))
    assert (redeemed["amr"], redeemed["aal"]) == (["pwd", "bkp"], 2)
    assert proved["jti"] != redeemed["jti"]


async def test_session_that_may_only_enroll_says_so(live: Live) -> None:
    _, session = await live.admin()
    claims = await claims_of(live, session)
    assert claims["scp"] == ["two_factor_setup"]
    assert (claims["act_type"], claims["aal"]) == ("admin", 1)


async def test_token_is_good_for_fifteen_minutes_and_a_minute_of_leeway(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    bearer = session.access_token
    timed.time.advance(minutes=15)
    accepted(await timed.api.get("/session", bearer=bearer))
    timed.time.advance(seconds=61)
    refused(await timed.api.get("/session", bearer=bearer), 401, "INVALID_TOKEN")
    accepted(await timed.api.get("/session", bearer=session.token))


async def test_token_never_outlives_its_session(timed_sqlite: Timed) -> None:
    _, session = await timed_sqlite.people.newcomer()
    timed_sqlite.time.advance(days=7, minutes=-5)
    answer = await timed_sqlite.api.post("/token/refresh", {"refreshToken": session.refresh_token})
    claims = part_of(accepted(answer)["accessToken"], 1)
    assert claims["exp"] - claims["iat"] == 300


async def test_token_ends_with_its_session_at_once(live: Live) -> None:
    """S18, S21: revocation by `sid`, in every process."""
    account, session = await live.people.newcomer()
    other = await live.people.sign_in(account)
    for _ in range(8):
        accepted(await live.api.get("/session", bearer=session.access_token))
    accepted(await live.api.delete(f"/sessions/{session.id}", bearer=other.token), 204)
    for _ in range(8):
        refused(await live.api.get("/session", bearer=session.access_token), 401, "INVALID_TOKEN")


async def test_same_signature_spelled_differently_is_revoked_too(live_sqlite: Live) -> None:
    """S21: ECDSA signatures are malleable, so a revocation never goes by the token's text."""
    _, session = await live_sqlite.people.newcomer()
    head, claims, signature = session.access_token.split(".")
    pair = base64.urlsafe_b64decode(signature + "==")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    twin = pair[:32] + (order - int.from_bytes(pair[32:], "big")).to_bytes(32, "big")
    other = f"{head}.{claims}.{base64.urlsafe_b64encode(twin).decode().rstrip('=')}"
    accepted(await live_sqlite.api.post("/sign-out", {}, bearer=session.access_token))
    refused(await live_sqlite.api.get("/session", bearer=other), 401, "INVALID_TOKEN")


async def test_forged_tokens_are_refused(timed: Timed) -> None:
    """S21, RFC 8725: pinned algorithm, no keys brought along, no unknown `crit`, every claim in its place."""
    _, session = await timed.people.newcomer()
    good = session.access_token
    head, claims = part_of(good, 0), part_of(good, 1)
    ours = timed.auth.services.access_tokens._signing_key(timed.clock())
    assert ours is not None
    mine = ECKey.import_key(ours.private_pem)
    theirs = ECKey.generate_key("P-256")
    public = accepted(await timed.api.get("/jwks"))["keys"][0]

    def signed(changes: dict[str, Any], header: dict[str, Any] | None = None, key: Any = mine) -> str:
        body = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(header or head, body, key, default_type=None)

    assert accepted(await timed.api.get("/session", bearer=signed({})))["session"]["id"] == session.id
    now = int(timed.clock().timestamp())
    mac = OctKey.import_key(json.dumps(public, sort_keys=True))
    forged = {
        "another key": signed({}, key=theirs),
        "another key under its own id": signed({}, {**head, "kid": theirs.thumbprint()}, theirs),
        "key brought along": signed({}, {**head, "jwk": theirs.as_dict(private=False)}, theirs),
        "address of a key": signed({}, {**head, "jku": "https://evil.example/jwks"}),
        "certificate": signed({}, {**head, "x5u": "https://evil.example/x5u"}),
        "no id of a key": signed({}, {name: value for name, value in head.items() if name != "kid"}),
        "no type": signed({}, {name: value for name, value in head.items() if name != "typ"}),
        "another type": signed({}, {**head, "typ": "JWT"}),
        "none": f"{spelled({**head, 'alg': 'none'})}.{spelled(claims)}.",
        "none with a signature": f"{spelled({**head, 'alg': 'none'})}.{good.split('.')[1]}.{good.split('.')[2]}",
        "HMAC with the public key": jwt.encode({**head, "alg": "HS256"}, claims, mac, default_type=None),
        "other claims under the signature": f"{good.split('.')[0]}.{spelled(claims | {'aal': 2})}."
        + good.split(".")[2],
        "no signature": good.rsplit(".", 1)[0] + ".",
        "another issuer": signed({"iss": "https://evil.example"}),
        "another audience": signed({"aud": "https://evil.example"}),
        "a list of audiences": signed({"aud": [HERE, "https://evil.example"]}),
        "expired": signed({"exp": now - 61}),
        "not yet": signed({"iat": now + 61}),
        "not before later": signed({"nbf": now + 61}),
        "time as text": signed({"exp": str(now + 900)}),
        "time as truth": signed({"iat": True}),
        "somebody else's session": signed({"sub": "0195e0f0-0000-7000-8000-000000000000"}),
        "session that does not exist": signed({"sid": "0195e0f0-0000-7000-8000-000000000000"}),
    }
    for name in ("iss", "aud", "sub", "sid", "exp", "iat", "jti"):
        forged[f"without {name}"] = signed({name: None})
    forged["critical"] = f"{spelled({**head, 'crit': ['b64'], 'b64': False})}.{good.split('.', 1)[1]}"
    for what, token in forged.items():
        answer = await timed.api.get("/session", bearer=token)
        assert answer.status_code == 401, f"{what}: {answer.text}"
        refused(answer, 401, "INVALID_TOKEN")


async def test_rights_come_from_the_database_not_from_the_token(live: Live) -> None:
    """S9, S17: an actor type that was taken away is gone at the next request, however fresh the token."""
    account, session = await live.people.newcomer("merchant")
    await live.auth.administration.change_actor_types(
        account.id, add=[], remove=["merchant"], context=system_context(live.clock())
    )
    refused(await live.api.get("/session", bearer=session.access_token), 401, "INVALID_TOKEN")


async def test_signing_keys_rotate_with_an_overlap(timed: Timed) -> None:
    _, before = await timed.people.newcomer()
    old = {key["kid"] for key in accepted(await timed.api.get("/jwks"))["keys"]}
    await timed.auth.signing_keys.rotate(now=timed.clock())
    timed.time.advance(seconds=10)
    both = {key["kid"] for key in accepted(await timed.api.get("/jwks"))["keys"]}
    assert old < both
    accepted(await timed.api.get("/session", bearer=before.access_token))


async def test_other_processes_know_a_new_signing_key_within_seconds(deploy: Deploy) -> None:
    """A token of one worker is good at the next one, and anybody may ask that one for the key."""
    one = await deploy()
    others = [await deploy(one.auth.settings.database_url) for _ in range(2)]
    await one.auth.signing_keys.rotate(at_once=True, now=one.clock())
    await one.auth.signing_keys.load(now=one.clock())
    _, session = await one.people.newcomer()
    for other in others:
        other.time.advance(seconds=10)
    accepted(await others[0].api.get("/session", bearer=session.access_token))
    kid = part_of(session.access_token, 0)["kid"]
    assert kid in {key["kid"] for key in accepted(await others[1].api.get("/jwks"))["keys"]}


@pytest.mark.parametrize("name", ["issuer", "audience"])
async def test_issuer_and_audience_are_settings(deploy_sqlite: Deploy, name: str) -> None:
    here = await deploy_sqlite(**{name: "https://api.example"})
    _, session = await here.people.newcomer()
    claims = await claims_of(here, session)
    assert claims["iss" if name == "issuer" else "aud"] == "https://api.example"
    accepted(await here.api.get("/session", bearer=session.access_token))
