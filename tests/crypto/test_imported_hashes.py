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
    "scrypt's table": "scrypt$131072$seasalt$8$1$FdABOrb0wvjT9Zs4SvDbdqkMc3yMtcGmEO7u4n9yY3zmebyXP2411BPCgJ2ilA4m"
    "kbhf4uc7mDuOgUog55aUnw==",
    "scrypt's blocks": "scrypt$1024$seasalt$1025$1$FdABOrb0wvjT9Zs4SvDbdqkMc3yMtcGmEO7u4n9yY3zmebyXP2411BPCgJ2ilA4m"
    "kbhf4uc7mDuOgUog55aUnw==",
}
# Right hashes of PASSWORD, each at a bound. One of bcrypt would take seconds.
AT_BOUNDS = {
    "PBKDF2, most": "pbkdf2_sha256$2500000$seasalt$GS3VB744Gj8G6gOh75o//Fhhr5sHzHuXd5vmhAkzOo8=",
    "PBKDF2, least": "pbkdf2_sha256$1$seasalt$fv5gfODYmKLNk3H3ezvnnXfjow0dUbriFutZYl4oews=",
    "scrypt, most": "scrypt$65536$seasalt$8$1$x3YsBYAlyceyRuiy6uTqTgE0C6WtZG7c5AYp9XJdlYKtqZDgRVNqBqHzkAClg6v2"
    "TiyVJYV9fez/6tk1IVPr9g==",
    "scrypt, least": "scrypt$2$seasalt$1$1$tESB0A0RhqOxAn5TPzNv1wfuZL3HFACN8+Mubo9tq1IyJRXGJXaGWUZnnm8ED5GwBg4F"
    "VnyozrN530BTV3EyWQ==",
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


@pytest.mark.parametrize("grantor", BEYOND_BOUNDS)
def test_a_hash_that_asks_for_too_much_is_refused_unread(grantor: str) -> None:
    assert imported_hashes.is_known(BEYOND_BOUNDS[grantor])
    begun = time.thread_time()
    assert not imported_hashes.is_match(BEYOND_BOUNDS[grantor], PASSWORD)
    assert time.thread_time() - begun < 0.1


@pytest.mark.parametrize("grantor", AT_BOUNDS)
def test_a_hash_at_a_bound_is_verified(grantor: str) -> None:
    assert imported_hashes.is_match(AT_BOUNDS[grantor], PASSWORD)


@pytest.mark.parametrize(
    "stored",
    [
        AT_BOUNDS["PBKDF2, least"].replace("$1$", "$0$"),
        AT_BOUNDS["scrypt, least"].replace("$2$", "$1$"),
        AT_BOUNDS["scrypt, least"].replace("$2$", "$6$"),
        AT_BOUNDS["scrypt, least"].replace("$1$1$", "$0$1$"),
        AT_BOUNDS["scrypt, least"].replace("$1$1$", "$1$0$"),
    ],
    ids=["no iterations", "table of one", "table of six", "no blocks", "no lanes"],
)
def test_a_hash_whose_costs_make_no_sense_matches_nothing(stored: str) -> None:
    assert imported_hashes.is_known(stored)
    assert imported_hashes.is_match(stored, PASSWORD) is False


def test_a_bcrypt_hash_is_verified_with_what_bcrypt_read_of_the_password() -> None:
    # Made from the first 72 bytes of forty two-byte characters.
    stored = "$2b$04$fQD/gwZSIXiiLgJ3o5OwSuG3dHrk6p6veesqcNlQTRrNxusTnyYce"
    assert imported_hashes.is_match(stored, "ä" * 40)
    assert imported_hashes.is_match(stored, "ä" * 36)
    assert not imported_hashes.is_match(stored, "ä" * 35)


def test_better_auth_normalized_the_password() -> None:
    assert imported_hashes.is_match(BETTER_AUTH, NOT_NORMALISED)
    assert imported_hashes.is_match(BETTER_AUTH, "pass fi bättery")


def test_the_other_products_did_not_normalize_the_password() -> None:
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


@pytest.mark.parametrize(("cost", "could"), [("03", False), ("04", True), ("14", True), ("15", False)])
def test_bcrypt_costs_from_4_to_14_are_within_bounds(cost: str, could: bool) -> None:
    assert imported_hashes.is_within_bounds(f"$2b${cost}$" + "a" * 53) is could


@pytest.mark.parametrize(("n", "could"), [(1, False), (2, True), (3, False), (4, True)])
def test_scrypt_needs_a_power_of_two(n: int, could: bool) -> None:
    assert imported_hashes.is_within_bounds(SCRYPT.replace("1024$", f"{n}$")) is could


@pytest.mark.parametrize(
    ("n", "r", "p", "could"),
    [
        # N * r * p: 2^20 is the bound, and N * r is at the bound of the table.
        (65_536, 8, 2, True),
        (65_536, 8, 3, False),
        # 128 * N * r: 64 MiB is the bound; these are 65 MiB and 65,600 KiB.
        (8_192, 65, 1, False),
        (512, 1_025, 1, False),
        # 128 * r * (p + 2): 1 MiB is the bound.
        (2, 8, 1_022, True),
        (2, 8, 1_023, False),
    ],
)
def test_scrypt_costs_are_bounded_in_work_table_and_blocks(n: int, r: int, p: int, could: bool) -> None:
    stored = f"scrypt${n}$salt${r}${p}${'A' * 86}=="
    assert imported_hashes.is_within_bounds(stored) is could


@pytest.mark.parametrize(
    ("stored", "dummy"),
    [
        ("$2y$05$" + "a" * 53, "$2b$05$" + "." * 53),
        (BETTER_AUTH, "0" * 32 + ":" + "0" * 128),
        (PBKDF2, "pbkdf2_sha256$1000$decoy$" + "A" * 43 + "="),
        (SCRYPT, "scrypt$1024$decoy$8$5$" + "A" * 86 + "=="),
    ],
    ids=["bcrypt", "better-auth", "PBKDF2", "scrypt"],
)
def test_a_dummy_hash_costs_the_same_and_matches_nothing(stored: str, dummy: str) -> None:
    assert imported_hashes.dummy_hash_of(stored) == dummy
    assert imported_hashes.is_within_bounds(dummy), "it is worked on as a stored one is"
    assert not imported_hashes.is_match(dummy, PASSWORD)


@pytest.mark.parametrize("stored", ["", "x", *BEYOND_BOUNDS.values()])
def test_what_is_not_verified_has_no_dummy_hash(stored: str) -> None:
    assert imported_hashes.dummy_hash_of(stored) is None
