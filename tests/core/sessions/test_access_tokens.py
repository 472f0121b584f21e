"""Access tokens: what they say, which keys count, and what is believed of them (S21)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from czo_auth.core.errors import InvalidToken, StorageUnavailable
from czo_auth.core.sessions.access_tokens import SIGNING_KEY, AccessTokens
from czo_auth.core.sessions.store import StoredSigningKey
from czo_auth.crypto import base64url, jwt
from czo_auth.crypto.sealing import KeyRing, OpenError, new_key_text
from tests.support.records import a_session

NOW = datetime(2026, 2, 13, 9, 30, tzinfo=UTC)
LIFETIME = timedelta(minutes=15)
RING = KeyRing.parse(new_key_text())
SESSION = a_session(
    "u1", now=NOW, id="s1", aal=1, amr=("pwd",), auth_time=NOW - timedelta(minutes=5), factor_proved_at=None
)


def stored(*, retired: bool = False) -> StoredSigningKey:
    key = jwt.new_signing_key()
    sealed = RING.seal(key.private_pem, purpose="signing-key", bound_to={"kid": key.kid})
    return StoredSigningKey(
        kid=key.kid,
        sealed_private_key=sealed,
        public_jwk=key.public_jwk(),
        created_at=NOW,
        retired_at=NOW if retired else None,
        expires_at=None,
    )


NEW, OLD = stored(), stored(retired=True)


def loaded(*keys: StoredSigningKey) -> AccessTokens:
    made = AccessTokens(issuer="https://auth.test", audience="shop", lifetime=LIFETIME)
    made.load(keys or (NEW,), RING, now=NOW)
    return made


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64url.decode(token.split(".")[1]))
    return claims


def kid_of(token: str) -> str:
    return str(json.loads(base64url.decode(token.split(".")[0]))["kid"])


def test_purpose_of_signing_keys_stays_as_it_is() -> None:
    # Another name is another sub-key: no key that was sealed before would open (S12).
    assert SIGNING_KEY == "signing-key"


def test_token_says_what_its_session_is() -> None:
    claims = claims_of(loaded().sign(SESSION, restricted=False, now=NOW))
    jti = claims.pop("jti")
    assert claims == {
        "iss": "https://auth.test",
        "aud": "shop",
        "sub": "u1",
        "act_type": "customer",
        "sid": "s1",
        "amr": ["pwd"],
        "aal": 1,
        "auth_time": int(NOW.timestamp()) - 300,
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 900,
    }
    assert len(jti) == 32
    assert jti != claims_of(loaded().sign(SESSION, restricted=False, now=NOW))["jti"]


def test_organization_and_restriction_are_said_when_there_are_any() -> None:
    claims = claims_of(loaded().sign(replace(SESSION, organization_id="o1"), restricted=True, now=NOW))
    assert claims["org"] == "o1"
    assert claims["scp"] == ["two_factor_setup"]


def test_token_never_outlives_its_session() -> None:
    ending = replace(SESSION, expires_at=NOW + timedelta(minutes=3))
    assert claims_of(loaded().sign(ending, restricted=False, now=NOW))["exp"] == int(NOW.timestamp()) + 180


def test_token_is_believed_from_a_minute_before_its_time_until_a_minute_after_its_end() -> None:
    tokens = loaded()
    found = tokens.verify(tokens.sign(SESSION, restricted=False, now=NOW), now=NOW)
    assert (found.session_id, found.subject) == ("s1", "u1")
    assert found.valid_from == NOW.timestamp() - 60
    assert found.expires_at == NOW.timestamp() + 900 + 60


def test_expired_token_is_refused() -> None:
    tokens = loaded()
    token = tokens.sign(SESSION, restricted=False, now=NOW)
    tokens.verify(token, now=NOW + timedelta(minutes=15, seconds=59))
    with pytest.raises(InvalidToken):
        tokens.verify(token, now=NOW + timedelta(minutes=16))


@pytest.mark.parametrize("keys", [(NEW, OLD), (OLD, NEW)], ids=["newest first", "retired first"])
def test_key_that_was_retired_verifies_and_signs_nothing(keys: Sequence[StoredSigningKey]) -> None:
    tokens = loaded(*keys)
    assert kid_of(tokens.sign(SESSION, restricted=False, now=NOW)) == NEW.kid
    of_before = loaded(replace(OLD, retired_at=None)).sign(SESSION, restricted=False, now=NOW)
    assert tokens.verify(of_before, now=NOW).session_id == "s1"
    assert tokens.jwks(now=NOW) == {"keys": [key.public_jwk for key in keys]}
    assert tokens.knows(OLD.kid, now=NOW)
    assert not tokens.knows("another", now=NOW)


def test_token_of_a_key_that_is_not_loaded_is_distinguished() -> None:
    foreign = loaded(stored()).sign(SESSION, restricted=False, now=NOW)
    with pytest.raises(jwt.UnknownSigningKey) as unknown:
        loaded().verify(foreign, now=NOW)
    assert unknown.value.kid == kid_of(foreign)
    assert str(unknown.value) == "The token is not valid."


def test_key_that_was_moved_to_another_row_does_not_open() -> None:
    with pytest.raises(OpenError):
        loaded(replace(NEW, kid=OLD.kid))


def test_nothing_is_signed_or_believed_before_the_keys_are_loaded() -> None:
    empty = AccessTokens(issuer="https://auth.test", audience="shop", lifetime=LIFETIME)
    token = loaded().sign(SESSION, restricted=False, now=NOW)
    with pytest.raises(StorageUnavailable):
        empty.sign(SESSION, restricted=False, now=NOW)
    with pytest.raises(StorageUnavailable):
        empty.verify(token, now=NOW)
    assert empty.jwks(now=NOW) == {"keys": []}


def test_key_counts_until_it_is_over_whatever_was_verified_before() -> None:
    ends_at = NOW + timedelta(minutes=5)
    made = loaded(replace(NEW, expires_at=ends_at))
    token = made.sign(SESSION, restricted=False, now=NOW)
    made.verify(token, now=ends_at - timedelta(milliseconds=1))
    with pytest.raises(jwt.UnknownSigningKey):
        made.verify(token, now=ends_at)
    # A clock that is set back.
    assert made.verify(token, now=NOW).session_id == "s1"


def test_loaded_keys_take_the_place_of_those_before_at_once() -> None:
    made = loaded(NEW)
    token = made.sign(SESSION, restricted=False, now=NOW)
    made.verify(token, now=NOW)
    made.load([OLD], RING, now=NOW)
    with pytest.raises(jwt.UnknownSigningKey):
        made.verify(token, now=NOW)
