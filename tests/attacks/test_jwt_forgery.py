"""
Attacks on access tokens (S21, RFC 8725).

Half of them forge without the key; the others are signed with the right one, as by another service that shares it or by
a token made for something else, because only those show that the claims are looked at.
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from tests.attacks.conftest import Graph
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.people import Account, Session
from tests.contract.routes import NOWHERE
from tests.contract.tokens import part_of, spelled

pytestmark = pytest.mark.deep

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
Json = dict[str, Any]


@dataclass
class Forge:
    """A good token, its parts, and what signs."""

    good: str
    pem: bytes
    public: Json
    theirs: ECKey

    @property
    def head(self) -> Json:
        return part_of(self.good, 0)

    @property
    def claims(self) -> Json:
        return part_of(self.good, 1)

    @property
    def parts(self) -> list[str]:
        return self.good.split(".")

    @property
    def pair(self) -> bytes:
        return base64.urlsafe_b64decode(self.parts[2] + "==")

    def sign(self, head: str, claims: str) -> str:
        """Sign two texts with the server's own key, whatever they say."""
        key: Any = load_pem_private_key(self.pem, password=None)
        r, s = decode_dss_signature(key.sign(f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256())))
        return f"{head}.{claims}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def with_head(self, **changes: Any) -> str:
        """Sign the good claims under another header; None leaves a field out."""
        head = {name: value for name, value in {**self.head, **changes}.items() if value is not None}
        return self.sign(spelled(head), self.parts[1])

    def with_claims(self, **changes: Any) -> str:
        """Sign other claims; None leaves one out."""
        claims = {name: value for name, value in {**self.claims, **changes}.items() if value is not None}
        return self.sign(self.parts[0], spelled(claims))

    def by_theirs(self, **head: Any) -> str:
        """Sign with the attacker's key."""
        return jwt.encode({**self.head, **head}, self.claims, self.theirs, default_type=None)

    def mac(self, secret: bytes) -> str:
        """Sign by HMAC with what is public."""
        head = spelled({**self.head, "alg": "HS256"})
        tag = hmac.digest(secret, f"{head}.{self.parts[1]}".encode(), "sha256")
        return f"{head}.{self.parts[1]}.{_text(tag)}"


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _raw(text: str) -> str:
    return _text(text.encode())


def _doubled(value: Json, name: str, first: Any) -> str:
    """Spell an object in which *name* stands twice, the good value last."""
    rest = json.dumps(value)[1:]
    return _raw("{" + f"{json.dumps(name)}: {json.dumps(first)}, " + rest)


@pytest.fixture
def session(somebody: tuple[Account, Session]) -> Session:
    return somebody[1]


@pytest.fixture
async def forge(live: Live, session: Session) -> Forge:
    return await forge_for(live, session)


async def forge_for(live: Live, session: Session) -> Forge:
    """Take the server's own key out of its database, as only its operator can."""
    await live.auth.start()
    signing = live.auth.services.access_tokens._signing_key(live.clock())
    assert signing is not None
    public = accepted(await live.api.get("/jwks"))["keys"][0]
    return Forge(session.access_token, signing.private_pem, public, ECKey.generate_key("P-256"))


WITHOUT_THE_KEY: dict[str, Callable[[Forge], str]] = {
    "alg none": lambda f: f"{spelled({**f.head, 'alg': 'none'})}.{f.parts[1]}.",
    "alg None": lambda f: f"{spelled({**f.head, 'alg': 'None'})}.{f.parts[1]}.{f.parts[2]}",
    "alg nOnE": lambda f: f"{spelled({**f.head, 'alg': 'nOnE'})}.{f.parts[1]}.AA",
    "no alg": lambda f: f"{spelled({'typ': 'at+jwt', 'kid': f.head['kid']})}.{f.parts[1]}.{f.parts[2]}",
    "HS256 with the JWK": lambda f: f.mac(json.dumps(f.public).encode()),
    "HS256 with the sorted JWK": lambda f: f.mac(
        json.dumps(f.public, sort_keys=True, separators=(",", ":")).encode()
    ),
    "HS256 with the point": lambda f: f.mac(base64.urlsafe_b64decode(f.public["x"] + "==")),
    "HS256 with the PEM": lambda f: f.mac(ECKey.import_key(f.public).as_pem(private=False)),
    "HS256 with the key id": lambda f: f.mac(f.head["kid"].encode()),
    "RS256 with a key of one's own": lambda f: jwt.encode(
        {**f.head, "alg": "RS256"}, f.claims, RSAKey.generate_key(2048), default_type=None
    ),
    "another key": lambda f: f.by_theirs(),
    "another key under its own id": lambda f: f.by_theirs(kid=f.theirs.thumbprint()),
    "key brought along": lambda f: f.by_theirs(jwk=f.theirs.as_dict(private=False)),
    "key brought along under its id": lambda f: f.by_theirs(
        jwk=f.theirs.as_dict(private=False), kid=f.theirs.thumbprint()
    ),
    "address of a key set": lambda f: f.by_theirs(jku="https://evil.example/jwks.json"),
    "address of a certificate": lambda f: f.by_theirs(x5u="https://evil.example/cert.pem"),
    "key id as a path": lambda f: f.by_theirs(kid="../../../../dev/null"),
    "key id as SQL": lambda f: f.by_theirs(kid="x' UNION SELECT 'AA'--"),
    "key id as an address": lambda f: f.by_theirs(kid="https://evil.example/key"),
    "empty key id": lambda f: f.by_theirs(kid=""),
    "key id as a list": lambda f: f"{spelled({**f.head, 'kid': [f.head['kid']]})}.{f.parts[1]}.{f.parts[2]}",
    "no signature": lambda f: f"{f.parts[0]}.{f.parts[1]}.",
    "no third part": lambda f: f"{f.parts[0]}.{f.parts[1]}",
    "signature of zeros": lambda f: f"{f.parts[0]}.{f.parts[1]}.{_text(bytes(64))}",
    "psychic signature": lambda f: f"{f.parts[0]}.{f.parts[1]}.{_text(bytes(31) + b'0' + bytes(32))}",
    "signature of the order": lambda f: f"{f.parts[0]}.{f.parts[1]}.{_text(ORDER.to_bytes(32, 'big') * 2)}",
    "signature in DER": lambda f: f"{f.parts[0]}.{f.parts[1]}.{_text(b'0D' + bytes(68))}",
    "signature with a byte more": lambda f: f"{f.parts[0]}.{f.parts[1]}.{_text(f.pair + b'0')}",
    "signature with zeros before": lambda f: f"{f.parts[0]}.{f.parts[1]}.{_text(b'0' + f.pair)}",
    "padding": lambda f: f.good + "==",
    "other assurance under the signature": lambda f: (
        f"{f.parts[0]}.{spelled({**f.claims, 'aal': 2, 'amr': ['pwd', 'otp']})}.{f.parts[2]}"
    ),
    "other user under the signature": lambda f: (
        f"{f.parts[0]}.{spelled({**f.claims, 'sub': NOWHERE})}.{f.parts[2]}"
    ),
    "five parts": lambda f: f"{f.good}.{f.parts[1]}.{f.parts[2]}",
    "JSON serialization": lambda f: _raw(
        json.dumps({"protected": f.parts[0], "payload": f.parts[1], "signature": f.parts[2]})
    ),
    "compressed": lambda f: f"{spelled({**f.head, 'zip': 'DEF'})}.{f.parts[1]}.{f.parts[2]}",
    "blank header": lambda f: f"e30.{f.parts[1]}.{f.parts[2]}",
}

WITH_THE_KEY: dict[str, Callable[[Forge], str]] = {
    "type JWT": lambda f: f.with_head(typ="JWT"),
    "type in capitals": lambda f: f.with_head(typ="AT+JWT"),
    "no type": lambda f: f.with_head(typ=None),
    "no key id": lambda f: f.with_head(kid=None),
    "unknown critical extension": lambda f: f.with_head(crit=["exp"], exp=1),
    "critical b64": lambda f: f.with_head(crit=["b64"], b64=False),
    "empty crit": lambda f: f.with_head(crit=[]),
    "jku beside the right key": lambda f: f.with_head(jku="https://evil.example/jwks.json"),
    "unknown field in the header": lambda f: f.with_head(cty="JWT"),
    "type twice": lambda f: f.sign(_doubled(f.head, "typ", "JWT"), f.parts[1]),
    "alg twice": lambda f: f.sign(_doubled(f.head, "alg", "none"), f.parts[1]),
    "subject twice": lambda f: f.sign(f.parts[0], _doubled(f.claims, "sub", NOWHERE)),
    "expiry twice": lambda f: f.sign(f.parts[0], _doubled(f.claims, "exp", 1)),
    "expired": lambda f: f.with_claims(exp=int(time.time()) - 120),
    "issued later": lambda f: f.with_claims(iat=int(time.time()) + 600),
    "not before later": lambda f: f.with_claims(nbf=int(time.time()) + 600),
    "expiry as text": lambda f: f.with_claims(exp=str(f.claims["exp"])),
    "expiry as a fraction": lambda f: f.with_claims(exp=f.claims["exp"] + 0.5),
    "expiry as infinity": lambda f: f.sign(f.parts[0], _raw(json.dumps({**f.claims, "exp": float("inf")}))),
    "expiry as true": lambda f: f.with_claims(exp=True),
    "issue time as true": lambda f: f.with_claims(iat=True),
    "another issuer": lambda f: f.with_claims(iss="https://evil.example"),
    "issuer with a slash": lambda f: f.with_claims(iss=f.claims["iss"] + "/"),
    "another audience": lambda f: f.with_claims(aud="https://evil.example"),
    "audiences beside ours": lambda f: f.with_claims(aud=[f.claims["aud"], "https://evil.example"]),
    "no issuer": lambda f: f.with_claims(iss=None),
    "no audience": lambda f: f.with_claims(aud=None),
    "no expiry": lambda f: f.with_claims(exp=None),
    "no issue time": lambda f: f.with_claims(iat=None),
    "no subject": lambda f: f.with_claims(sub=None),
    "no session": lambda f: f.with_claims(sid=None),
    "no token id": lambda f: f.with_claims(jti=None),
    "subject as a number": lambda f: f.with_claims(sub=1),
    "empty session": lambda f: f.with_claims(sid=""),
    "session that there is not": lambda f: f.with_claims(sid=NOWHERE),
    "somebody else in one's own session": lambda f: f.with_claims(sub=NOWHERE),
    "claims as a list": lambda f: f.sign(f.parts[0], _raw(json.dumps([f.claims]))),
    "claims with NUL": lambda f: f.with_claims(sid=f.claims["sid"] + "\0"),
    "too long": lambda f: f.with_claims(filler="A" * 4096),
}


@pytest.mark.parametrize("name", WITHOUT_THE_KEY)
async def test_token_forged_without_the_key(live: Live, forge: Forge, name: str) -> None:
    answer = await live.api.get("/session", bearer=WITHOUT_THE_KEY[name](forge))
    refused(answer, 401, "INVALID_TOKEN")


@pytest.mark.parametrize("name", WITH_THE_KEY)
async def test_token_that_the_key_signed_and_nobody_should_believe(
    live: Live, forge: Forge, name: str
) -> None:
    token = WITH_THE_KEY[name](forge)
    answer = await live.api.get("/session", bearer=token)
    too_long = len(token) > 4096
    refused(answer, 400 if too_long else 401, "INVALID_REQUEST" if too_long else "INVALID_TOKEN")


async def test_forge_itself_works(live: Live, forge: Forge, session: Session) -> None:
    """Without changes both ways of signing are believed, so what refuses above is the change."""
    for token in (forge.with_head(), forge.with_claims()):
        assert accepted(await live.api.get("/session", bearer=token))["session"]["id"] == session.id


async def test_forged_token_at_graphql(forge: Forge, graph: Graph) -> None:
    for token in (WITHOUT_THE_KEY["alg none"](forge), forge.by_theirs(), forge.with_claims(aud="x")):
        refused(await graph(bearer=token), 401, "INVALID_TOKEN")


async def test_claims_raised_with_the_key_give_no_rights(live: Live, forge: Forge) -> None:
    """What counts is the session in the database, so even the key does not make an administrator."""
    token = forge.with_claims(act="admin", aal=2, amr=["pwd", "otp"], org=NOWHERE)
    reported = accepted(await live.api.get("/whoami", bearer=token))
    assert (reported["actorType"], reported["aal"], reported["organizationId"]) == ("customer", 1, None)
    refused(await live.api.get("/admin/users", bearer=token), 403, "FORBIDDEN")


async def test_malleated_signature_after_sign_out(live: Live) -> None:
    """The other s is as good a signature, and of the same session."""
    _, session = await live.people.newcomer()
    forge = await forge_for(live, session)
    s = int.from_bytes(forge.pair[32:], "big")
    twin = f"{forge.parts[0]}.{forge.parts[1]}.{_text(forge.pair[:32] + (ORDER - s).to_bytes(32, 'big'))}"
    assert twin != forge.good
    accepted(await live.api.get("/session", bearer=twin))
    accepted(await live.api.post("/sign-out", {}, bearer=forge.good))
    for _ in range(4):
        for token in (twin, forge.good):
            refused(await live.api.get("/session", bearer=token), 401, "INVALID_TOKEN")


async def test_respelled_token_after_sign_out(live: Live, forge: Forge) -> None:
    """The last character of the signature has two unused bits; one spelling is the only one."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    respelled = forge.good[:-1] + alphabet[alphabet.index(forge.good[-1]) ^ 1]
    refused(await live.api.get("/session", bearer=respelled), 401, "INVALID_TOKEN")


async def test_private_half_of_the_key(live: Live) -> None:
    for path in ("/api/auth/jwks", "/.well-known/jwks.json"):
        for key in (await live.api.http.get(path)).json()["keys"]:
            assert {"d", "k", "p", "q"}.isdisjoint(key)


async def test_token_of_a_banned_user(live: Live, root: Session) -> None:
    account, session = await live.people.newcomer()
    for _ in range(6):
        accepted(await live.api.get("/session", bearer=session.access_token))
    path = f"/admin/users/{account.id}/ban"
    accepted(await live.api.post(path, {"reason": "fraud"}, bearer=root.token))
    for _ in range(6):
        refused(await live.api.get("/session", bearer=session.access_token), 401, "INVALID_TOKEN")


async def test_token_of_before_the_second_factor_turned_off(
    live: Live, enrolled_user: tuple[Account, Session]
) -> None:
    """Its claims still say two factors; the session does not."""
    account, session = enrolled_user
    body = {"password": account.password}
    accepted(await live.api.post("/two-factor/disable", body, bearer=session.token))
    assert part_of(session.access_token, 1)["aal"] == 2
    assert accepted(await live.api.get("/whoami", bearer=session.access_token))["aal"] == 1
