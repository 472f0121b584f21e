import hashlib
import re
import secrets
import time
import unicodedata
from collections.abc import Callable
from importlib import resources

import pytest
from argon2 import low_level
from hypothesis import given, settings
from hypothesis import strategies as st

from czo_auth.crypto import passwords
from tests.support.weak_hashes import weak_hashes

pytestmark = pytest.mark.real_hashes

PASSWORD = "correct horse bättery"
OURS = passwords.hash_password(PASSWORD)

# Made with argon2-cffi from PASSWORD.
SALT = "MDEyMzQ1Njc4OWFiY2RlZg"
ARGON2_OF_OTHERS = {
    "RFC 9106, second choice": f"$argon2id$v=19$m=65536,t=3,p=4${SALT}$YLePUmh9hBAjAhQ5vHfHZB6N5m6767fx6tDoGwmVGps",
    "Django": f"$argon2id$v=19$m=102400,t=2,p=8${SALT}$zmAenJqDCbC56e+SKxAOdMoDroC28/vjPbbUg6PmgYA",
    "Argon2i": f"$argon2i$v=19$m=4096,t=3,p=1${SALT}$xTR4+pE/plxor6SmtR5yGKc7lAx4+bQV1lASY3FAVsg",
    "Argon2d": f"$argon2d$v=19$m=4096,t=3,p=1${SALT}$JzTix7TNlUy5ZAbSHNkoPrEJRg+AyHdZz1Wg5uSfewg",
    "Argon2i 1.0": f"$argon2i$v=16$m=64,t=2,p=1${SALT}$0VkSPmzDoZJc8IfvavIDXVuxL09uUjf28f6QKed64IE",
}
ARGON2_BEYOND_BOUNDS = {
    "memory": f"$argon2id$v=19$m=262145,t=1,p=1${SALT}$BdjKrtApnDB2fFSsBNkkumsXXR0y8UQ6eCOy+R4OT6E",
    "passes": f"$argon2id$v=19$m=8,t=11,p=1${SALT}$GKgkX9A5SR/K3RHEh8FTpaF1u1hv+lVKMo0dBabtihQ",
    "lanes": f"$argon2id$v=19$m=136,t=1,p=17${SALT}$ZHpcJs7RJSnoRQSSH1RXK7wX+FsX58rGBJvqnDyR1ZE",
    "memory times passes": f"$argon2id$v=19$m=262144,t=5,p=1${SALT}$aeA1AkhsN78FFG1xBzY9V8inSANigDt05hkpppcJOKc",
}


def _matches(stored: str, password: str) -> bool:
    return passwords.verify_password(stored, password).matches


def test_lengths_are_those_of_the_contract() -> None:
    assert (passwords.MIN_LENGTH, passwords.MAX_LENGTH) == (8, 128)


def test_a_hash_is_argon2id_with_owasps_parameters() -> None:
    assert re.fullmatch(r"\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}", OURS)


def test_two_hashes_of_one_password_differ() -> None:
    assert passwords.hash_password(PASSWORD) != OURS


def test_the_right_password_matches_and_needs_no_rehash() -> None:
    found = passwords.verify_password(OURS, PASSWORD)
    assert found == passwords.PasswordMatch(matches=True, needs_rehash=False)


@pytest.mark.parametrize("wrong", ["", PASSWORD + " ", PASSWORD.upper(), PASSWORD[:-1]])
def test_a_wrong_password_does_not_match(wrong: str) -> None:
    found = passwords.verify_password(OURS, wrong)
    assert found == passwords.PasswordMatch(matches=False, needs_rehash=False)


def test_a_password_is_not_cut_at_72_bytes() -> None:
    stored = passwords.hash_password("a" * 127 + "b")
    assert _matches(stored, "a" * 127 + "b")
    assert not _matches(stored, "a" * 127 + "c")


def test_a_nul_does_not_end_a_password() -> None:
    stored = passwords.hash_password("before\0after")
    assert _matches(stored, "before\0after")
    assert not _matches(stored, "before\0")


@settings(max_examples=30)
@given(st.text(min_size=1, max_size=20))
def test_every_unicode_form_of_a_password_is_the_same_password(password: str) -> None:
    with weak_hashes():
        stored = passwords.hash_password(password)
        assert _matches(stored, unicodedata.normalize("NFD", password))
        assert _matches(stored, unicodedata.normalize("NFKC", password))


def test_compatibility_forms_are_one_password() -> None:
    assert passwords.normalize("\uff50\uff41\uff53\uff53 \ufb01") == "pass fi"
    assert _matches(passwords.hash_password("\uff50\uff41\uff53\uff53 \ufb01"), "pass fi")


def test_no_text_over_the_typed_length_normalizes_to_an_acceptable_one() -> None:
    longest = max(
        len(unicodedata.normalize("NFD", chr(point)))
        for point in range(0x110000)
        if unicodedata.normalize("NFKC", unicodedata.normalize("NFD", chr(point))) == chr(point)
    )
    assert longest * passwords.MAX_LENGTH <= passwords.MAX_TYPED_LENGTH


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(passwords.normalize, id="normalize"),
        pytest.param(passwords.is_common, id="is_common"),
        pytest.param(lambda text: passwords.verify_password(BETTER_AUTH, text), id="verify_password"),
    ],
)
def test_a_flood_of_combining_marks_costs_no_time(act: Callable[[str], object]) -> None:
    # NFKC of this text takes seconds, since it sorts marks by insertion.
    flood = "a" + "\u0316\u0300" * 50_000
    passwords.is_common("load the list")
    begun = time.thread_time()
    act(flood)
    assert time.thread_time() - begun < 0.2


@pytest.mark.parametrize("text", ["x" * (passwords.MAX_TYPED_LENGTH + 1), "lone surrogate \ud800"])
def test_a_text_that_cannot_be_a_password_is_not_hashed_and_matches_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="password") as caught:
        passwords.hash_password(text)
    assert text not in str(caught.value)
    assert not _matches(OURS, text)
    assert not _matches(BCRYPT, text)


@pytest.mark.parametrize("grantor", ARGON2_OF_OTHERS)
def test_argon2_with_other_parameters_matches_and_is_rehashed(grantor: str) -> None:
    found = passwords.verify_password(ARGON2_OF_OTHERS[grantor], PASSWORD)
    assert found == passwords.PasswordMatch(matches=True, needs_rehash=True)
    assert not _matches(ARGON2_OF_OTHERS[grantor], PASSWORD + "x")


@pytest.mark.parametrize("beyond", ARGON2_BEYOND_BOUNDS)
def test_argon2_that_asks_for_too_much_is_refused_unread(beyond: str) -> None:
    begun = time.thread_time()
    assert not _matches(ARGON2_BEYOND_BOUNDS[beyond], PASSWORD)
    assert time.thread_time() - begun < 0.1


@pytest.mark.deep
@pytest.mark.parametrize("at", [(262_144, 4, 1), (8, 10, 1), (128, 1, 16)], ids=["memory", "passes", "lanes"])
def test_argon2_at_a_bound_is_verified(at: tuple[int, int, int]) -> None:
    memory_kib, passes, lanes = at
    secret, salt = PASSWORD.encode(), b"0123456789abcdef"
    stored = low_level.hash_secret(
        secret, salt, passes, memory_kib, lanes, passwords.HASH_BYTES, low_level.Type.ID
    )
    assert _matches(stored.decode(), PASSWORD)


def test_what_can_be_verified_is_argon2_or_a_known_import() -> None:
    assert passwords.is_verifiable(passwords.DUMMY_HASH) is True
    assert passwords.is_verifiable(BCRYPT) is True
    assert passwords.is_verifiable("plain text") is False


def test_a_new_hash_begins_as_the_current_ones_do() -> None:
    assert passwords.hash_password(PASSWORD).startswith(passwords.CURRENT_HASHES_BEGIN)


def test_a_typed_password_of_512_characters_is_normalized_and_no_longer_one() -> None:
    assert passwords.normalize("\uff50" * 512) == "p" * 512
    assert passwords.normalize("\uff50" * 513) == "\uff50" * 513
    assert _matches(passwords.hash_password("x" * 512), "x" * 512)


# Made by bcrypt from PASSWORD at cost 4; better-auth 1.7.25; Django 5.2.19.
BCRYPT_TAIL = "wUxe99Pb55bCbL6FHYrr1OLt/bm5n5TMxDj8Bn5i2umZYfotl0Bvm"
BCRYPT = "$2b$04$" + BCRYPT_TAIL
BETTER_AUTH = (
    "53fdbfdecf826abef002091f0f02bd8e:7cd6b5c5003abd40860d5fac2a60aac62c255449c01e0658c958575498d1e7755"
    "fa3577e0736f7e232af3b4d8cbb7f6da857cc833b4e6f5eda8130d02c83ada6"
)
DJANGO_SCRYPT = (
    "scrypt$16384$mJdmYWj8dpiwLLDl3cTBtp$8$5$nWxPjbsB9pAwUmNNT0aUaDtt47LBEF1JJitBFMqn1QXKYqhEpbDkxAbcLzUQ"
    "oAtfDBpNa+n2wbjfaebdWpJTSw=="
)
DJANGO_PBKDF2 = "pbkdf2_sha256$1000000$mJdmYWj8dpiwLLDl3cTBtp$VeRq1/7mvnRMDSbgXSGCtkgzaq+rREYxd1Z/5e7IADo="
IMPORTED = {
    "bcrypt 2a": "$2a$04$" + BCRYPT_TAIL,
    "bcrypt 2b": BCRYPT,
    "bcrypt 2y": "$2y$04$" + BCRYPT_TAIL,
    "better-auth": BETTER_AUTH,
    "Django scrypt": DJANGO_SCRYPT,
    "Django PBKDF2": DJANGO_PBKDF2,
}


@pytest.mark.parametrize("grantor", IMPORTED)
def test_an_imported_hash_matches_and_is_rehashed(grantor: str) -> None:
    found = passwords.verify_password(IMPORTED[grantor], PASSWORD)
    assert found == passwords.PasswordMatch(matches=True, needs_rehash=True)


@pytest.mark.parametrize("grantor", IMPORTED)
def test_a_wrong_password_for_an_imported_hash_does_not_match(grantor: str) -> None:
    found = passwords.verify_password(IMPORTED[grantor], PASSWORD + "x")
    assert found == passwords.PasswordMatch(matches=False, needs_rehash=False)


def test_an_unknown_hash_format_takes_the_time_of_a_hash() -> None:
    def seconds(stored: str) -> float:
        begun = time.thread_time()
        assert not _matches(stored, PASSWORD)
        return time.thread_time() - begun

    assert min(seconds("!") for _ in range(3)) > min(seconds(passwords.DUMMY_HASH) for _ in range(3)) / 2


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param("", id="nothing"),
        pytest.param(PASSWORD, id="the password in clear"),
        pytest.param(hashlib.sha256(PASSWORD.encode()).hexdigest(), id="bare digest"),
        pytest.param(OURS + "\n", id="line end"),
        pytest.param(OURS[:-1], id="cut"),
        pytest.param(OURS.replace("m=19456", "m=1945\u0666"), id="Arabic digit"),
        pytest.param(OURS.replace("t=2", "t=0"), id="impossible parameter"),
        pytest.param(OURS.replace("v=19", "v=18"), id="unknown version"),
        # The right hash, but of 32 bits: one password in 2**32 matches it.
        pytest.param("$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$ibREqQ", id="hash too short"),
        pytest.param("$2x$04$" + BCRYPT_TAIL, id="broken bcrypt variant"),
        pytest.param("$2b$04$" + "z" * 53, id="bcrypt with a salt that is not one"),
        pytest.param("$2b$03$" + BCRYPT_TAIL, id="bcrypt cost too small"),
        pytest.param("$2b$04$" + BCRYPT_TAIL[:-1], id="bcrypt cut"),
        pytest.param(BETTER_AUTH[:-2], id="better-auth cut"),
        pytest.param(BETTER_AUTH.upper(), id="better-auth in upper case"),
        pytest.param(DJANGO_SCRYPT.replace("16384", "16383"), id="scrypt with an odd N"),
        pytest.param(DJANGO_SCRYPT.replace("16384", "0"), id="scrypt without N"),
        pytest.param(DJANGO_SCRYPT.replace("$8$5$", "$0$5$"), id="scrypt without r"),
        pytest.param(DJANGO_SCRYPT.replace("$8$5$", "$8$0$"), id="scrypt without p"),
        pytest.param(DJANGO_PBKDF2.replace("1000000", "0"), id="PBKDF2 without iterations"),
        pytest.param(DJANGO_PBKDF2.replace("sha256", "sha1"), id="PBKDF2 with SHA-1"),
        pytest.param("md5$salt$" + hashlib.md5(b"salt" + PASSWORD.encode()).hexdigest(), id="Django MD5"),
    ],
)
def test_a_hash_that_is_unknown_or_damaged_matches_nothing(stored: str) -> None:
    found = passwords.verify_password(stored, PASSWORD)
    assert found == passwords.PasswordMatch(matches=False, needs_rehash=False)


def test_the_dummy_hash_has_the_present_parameters_and_no_known_password() -> None:
    parameters = OURS.rpartition("$")[0].rpartition("$")[0]
    assert passwords.DUMMY_HASH.startswith(parameters + "$")
    assert len(passwords.DUMMY_HASH) == len(OURS)
    assert not _matches(passwords.DUMMY_HASH, PASSWORD)
    assert not _matches(passwords.DUMMY_HASH, "")


@pytest.mark.parametrize("common", ["password1", "PassWord1", " password1 ", "iloveyou", "\uff50assword1"])
def test_a_common_password_is_recognized_in_any_case_and_form(common: str) -> None:
    assert passwords.is_common(common)


def test_a_random_password_is_not_common() -> None:
    assert not any(passwords.is_common(secrets.token_urlsafe(9)) for _ in range(100))
    assert not passwords.is_common(PASSWORD)


def test_the_bundled_list_is_the_one_that_its_notice_describes() -> None:
    assets = resources.files("czo_auth.crypto").joinpath("assets")
    digest = hashlib.sha256(assets.joinpath("common_passwords.txt.gz").read_bytes()).hexdigest()
    notice = assets.joinpath("NOTICE").read_text()
    assert digest in notice
    assert "BSD-3-Clause" in notice
    assert "Redistribution and use" in assets.joinpath("LICENSE.django").read_text()


@pytest.mark.parametrize("grantor", ARGON2_OF_OTHERS)
def test_dummy_hash_of_another_argon2_has_its_costs(grantor: str) -> None:
    stored = ARGON2_OF_OTHERS[grantor]
    costs = stored[: stored.index(SALT)]
    salt_and_hash = "$".join(passwords.DUMMY_HASH.split("$")[-2:])
    assert passwords.dummy_hash_of(stored) == costs + salt_and_hash


def test_hash_with_our_costs_or_beyond_the_bounds_has_no_dummy_hash() -> None:
    for stored in (OURS, *ARGON2_BEYOND_BOUNDS.values(), "unknown"):
        assert passwords.dummy_hash_of(stored) is None


def test_dummy_hash_of_an_imported_hash_is_one_of_its_kind() -> None:
    assert passwords.dummy_hash_of("$2b$10$" + "a" * 53) == "$2b$10$" + "." * 53
