import time

import bcrypt
import pytest

from czo_auth.crypto import imported_hashes

PASSWORD = "correct horse bättery"

# Right hashes of PASSWORD, each just beyond a bound.
BEYOND_BOUNDS = {
    "bcrypt": "$2b$15$sT9sO59eABtnkl3tvvt23eSe8qZO.4wfe8yAQ2J9CiJjNUdVLsqfS",
    "PBKDF2": "pbkdf2_sha256$2500001$seasalt$L3hYA7kwxQb/YDR0t+U0AleB8L4HWYDMF9SfZCm7Gb4=",
    "scrypt": "scrypt$2$seasalt$1$524289$jqom9ilR/d9lc+QQN8tdewEOBc9MlAje+KKk+hdhRb5osWvNVh0QTDlugAYIiYcw"
    "kUhGyrU3s8Ycv9bs97pZPQ==",
}
# Made by better-auth 1.7.25 from the text below, which NFKC changes.
BETTER_AUTH = (
    "12c7f5dd3338d3816e953b2168d681af:12ee5d169edf30165e4ca407d3f521661ca16fe684a2d245ed75e51e77744dc0"
    "07b4a7121c63956f7db5734f92d0ed20fe82aaf71b99e921327829e0e4897131"
)
NOT_NORMALISED = "\uff50\uff41\uff53\uff53 \ufb01 bättery"
# Made by Django 5.2.19 from PASSWORD.
PBKDF2 = "pbkdf2_sha256$1000$mJdmYWj8dpiwLLDl3cTBtp$HM2d8vPXprDRuXme/HpRfbd3Q6MFkZEqgLXT8oclwyo="
SCRYPT = (
    "scrypt$1024$mJdmYWj8dpiwLLDl3cTBtp$8$5$LOAakmlN5crjQyLgAWrSjEPckQqwBYDRzoprB7t7dNySRT/q9JGzGeQMl2BS23v4"
    "HQeEbRQrmYsER24hb2v2NA=="
)


@pytest.mark.parametrize("maker", BEYOND_BOUNDS)
def test_a_hash_that_asks_for_too_much_is_refused_unread(maker: str) -> None:
    assert imported_hashes.is_known(BEYOND_BOUNDS[maker])
    begun = time.thread_time()
    assert not imported_hashes.is_match(BEYOND_BOUNDS[maker], PASSWORD)
    assert time.thread_time() - begun < 0.1


def test_a_bcrypt_hash_is_verified_with_what_bcrypt_read_of_the_password() -> None:
    # Made from the first 72 bytes of forty two-byte characters.
    stored = "$2b$04$fQD/gwZSIXiiLgJ3o5OwSuG3dHrk6p6veesqcNlQTRrNxusTnyYce"
    assert imported_hashes.is_match(stored, "ä" * 40)
    assert imported_hashes.is_match(stored, "ä" * 36)
    assert not imported_hashes.is_match(stored, "ä" * 35)


def test_better_auth_normalised_the_password() -> None:
    assert imported_hashes.is_match(BETTER_AUTH, NOT_NORMALISED)
    assert imported_hashes.is_match(BETTER_AUTH, "pass fi bättery")


def test_the_others_did_not_normalise_the_password() -> None:
    stored = bcrypt.hashpw(NOT_NORMALISED.encode(), bcrypt.gensalt(4)).decode()
    assert imported_hashes.is_match(stored, NOT_NORMALISED)
    assert not imported_hashes.is_match(stored, "pass fi bättery")


@pytest.mark.parametrize("stored", [PBKDF2, SCRYPT], ids=["PBKDF2", "scrypt"])
def test_the_cost_is_read_from_the_hash(stored: str) -> None:
    assert imported_hashes.is_match(stored, PASSWORD)
    assert not imported_hashes.is_match(stored.replace("1000$", "1001$").replace("1024$", "2048$"), PASSWORD)


@pytest.mark.parametrize("stored", [PBKDF2, SCRYPT], ids=["PBKDF2", "scrypt"])
def test_the_salt_counts(stored: str) -> None:
    assert not imported_hashes.is_match(stored.replace("$mJdm", "$mJdM"), PASSWORD)


@pytest.mark.parametrize("stored", ["", "x", "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", PBKDF2 + "\n"])
def test_a_foreign_text_is_not_known_and_matches_nothing(stored: str) -> None:
    assert not imported_hashes.is_known(stored)
    assert not imported_hashes.is_match(stored, PASSWORD)
