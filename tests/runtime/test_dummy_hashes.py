"""S24: a sign-in does the same work for unknown users, for users of ours, and for imported ones."""

from __future__ import annotations

from collections import Counter

import pytest

from czo_auth.core.limits import MAX_HASH_KINDS
from czo_auth.crypto import passwords
from czo_auth.crypto.passwords import DUMMY_HASH, PasswordMatch, dummy_hash_of
from czo_auth.runtime.dummy_hashes import UniformVerifier

pytestmark = pytest.mark.real_hashes

BCRYPT = "$2b$04$Ie0iVXtZHrBBOjKUkCRyFe3WHhFEdKZC8S9E3uLmPgiIqvrl0cEXm"
PBKDF2 = "pbkdf2_sha256$1000$mJdmYWj8dpiwLLDl3cTBtp$HM2d8vPXprDRuXme/HpRfbd3Q6MFkZEqgLXT8oclwyo="
SCRYPT = (
    "scrypt$1024$mJdmYWj8dpiwLLDl3cTBtp$8$5$LOAakmlN5crjQyLgAWrSjEPckQqwBYDRzoprB7t7dNySRT/q9JGzGeQMl2BS23v4"
    "HQeEbRQrmYsER24hb2v2NA=="
)
BETTER_AUTH = f"{'1a' * 16}:{'2b' * 64}"
ARGON2 = "$argon2id$v=19$m=4096,t=3,p=1$h9vJDJreCAVr/m5D7mDmvw$E5PpzGk30dVzscCEZDw7rms9sJe14f4YGdJN8OIpBr0"
TOO_DEAR = "$2b$15$sT9sO59eABtnkl3tvvt23eSe8qZO.4wfe8yAQ2J9CiJjNUdVLsqfS"
FOREIGN = [BCRYPT, PBKDF2, SCRYPT, BETTER_AUTH, ARGON2]


def kind(stored: str) -> str:
    """What a hash costs: the same for a hash and its dummy."""
    return dummy_hash_of(stored) or "ours"


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of the hashes that are verified, in place of the work."""
    done: list[str] = []

    def verify(stored: str, password: str) -> PasswordMatch:
        done.append(kind(stored))
        return PasswordMatch(matches=password == "right" and stored == BCRYPT, needs_rehash=False)

    monkeypatch.setattr(passwords, "verify_password", verify)
    return done


@pytest.mark.parametrize("stored", FOREIGN)
def test_decoy_has_the_costs_and_matches_nothing(stored: str) -> None:
    dummy_hash = dummy_hash_of(stored)
    assert dummy_hash is not None
    assert passwords.is_verifiable(dummy_hash)
    assert dummy_hash_of(dummy_hash) == dummy_hash
    assert passwords.verify_password(dummy_hash, "correct horse battery staple") == PasswordMatch(
        matches=False, needs_rehash=False
    )


def test_hash_of_ours_needs_none() -> None:
    assert dummy_hash_of(DUMMY_HASH) is None
    assert dummy_hash_of("no hash") is None
    assert dummy_hash_of(TOO_DEAR) is None


@pytest.mark.parametrize("held", [[], [BCRYPT], [PBKDF2, SCRYPT, BCRYPT]], ids=["none", "one", "three"])
def test_every_address_costs_the_same(verified: list[str], held: list[str]) -> None:
    work = UniformVerifier()
    for stored in held:
        work.register(stored)
    costs = []
    for stored in [None, DUMMY_HASH, TOO_DEAR, *held]:
        verified.clear()
        work.verify(stored, "wrong")
        costs.append(Counter(verified))
    assert all(cost == costs[0] for cost in costs)
    assert costs[0].total() == 1 + len(held)


def test_kind_that_was_met_once_is_known_from_then_on(verified: list[str]) -> None:
    work = UniformVerifier()
    assert work.verify(BCRYPT, "right").matches
    verified.clear()
    assert not work.verify(None, "right").matches
    assert Counter(verified) == Counter([kind(BCRYPT), "ours"])


def test_kinds_are_bounded(verified: list[str]) -> None:
    work = UniformVerifier()
    for iterations in range(1, 100):
        work.register(PBKDF2.replace("$1000$", f"${iterations}$"))
    work.verify(None, "wrong")
    assert len(verified) == MAX_HASH_KINDS + 1
