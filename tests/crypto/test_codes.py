import re
import sys
from itertools import product
from random import Random
from types import FrameType

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from czo_auth.crypto import codes
from czo_auth.crypto.codes import BackupCode

pytestmark = pytest.mark.real_hashes

CODE = BackupCode("ABCD", "0123456789EFGH")
HASH = codes.hash_code(CODE)

selectors = st.text(alphabet=codes.ALPHABET, min_size=4, max_size=4)
secrets = st.text(alphabet=codes.ALPHABET, min_size=14, max_size=14)
backup_codes = st.builds(BackupCode, selectors, secrets)


def test_the_alphabet_is_crockfords() -> None:
    assert len(set(codes.ALPHABET)) == 32
    assert not set("ILOU") & set(codes.ALPHABET)


def test_there_are_ten_codes_in_the_text_format_of_the_requirement() -> None:
    drawn = codes.new_codes()
    assert len(drawn) == 10
    part = "[0-9A-HJKMNP-TV-Z]"
    for code in drawn:
        assert re.fullmatch(f"{part}{{4}}-{part}{{5}}-{part}{{5}}-{part}{{4}}", code.text)


def test_codes_and_selectors_of_a_set_differ() -> None:
    drawn = codes.new_codes(2000)
    assert len({code.selector for code in drawn}) == 2000
    assert len({code.secret for code in drawn}) == 2000


def test_every_character_of_the_alphabet_is_drawn() -> None:
    assert {char for code in codes.new_codes(200) for char in code.secret} == set(codes.ALPHABET)


def test_no_selector_is_drawn_that_is_taken() -> None:
    # Half of all selectors are taken: without the check, hundreds of a thousand would hit one.
    taken = ["".join(chars) for chars in product(codes.ALPHABET[:15], *[codes.ALPHABET] * 3)]
    drawn = codes.new_codes(1000, taken=taken)
    assert not {code.selector for code in drawn} & set(taken)


def test_drawing_is_refused_when_free_selectors_run_short() -> None:
    half = [f"{number:04}" for number in range(32**4 // 2 - 1)]
    assert len(codes.new_codes(1, taken=half)) == 1
    with pytest.raises(ValueError, match="taken"):
        codes.new_codes(2, taken=half)
    with pytest.raises(ValueError, match="taken"):
        codes.new_codes(32**4 // 2 + 1)


def test_the_representation_hides_the_secret() -> None:
    assert "ABCD" in repr(CODE)
    for shown in (repr(CODE), str(CODE), f"{CODE}"):
        assert CODE.secret not in shown
        assert CODE.secret[:5] not in shown


@pytest.mark.parametrize(
    ("selector", "secret"),
    [
        ("ABC", "0123456789EFGHJ"),
        ("ABCDE", "123456789EFGH"),
        ("abcd", "0123456789EFGH"),
        ("ABCU", "0123456789EFGH"),
        ("ABCD", "0123456789EFG"),
        ("ABCD", "0123456789EFGH\n"),
    ],
)
def test_a_code_that_is_not_canonical_cannot_be_made(selector: str, secret: str) -> None:
    with pytest.raises(ValueError, match="backup code"):
        BackupCode(selector, secret)


@given(backup_codes)
def test_a_code_is_read_back_from_its_text(code: BackupCode) -> None:
    assert codes.parse(code.text) == code


@given(backup_codes, st.randoms(use_true_random=False))
def test_a_code_is_read_however_a_person_types_it(code: BackupCode, random: Random) -> None:
    look_alikes = {"0": "0oO", "1": "1iIlL"}
    typed = "".join(
        random.choice(look_alikes.get(char, char.lower() + char)) + random.choice(["", "", " ", "-", " - "])
        for char in code.selector + code.secret
    )
    if len(typed) <= codes.MAX_TEXT_LENGTH:
        assert codes.parse(typed) == code


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("123456", id="one-time password"),
        pytest.param("ABCD-01234-56789-EFG", id="one short"),
        pytest.param("ABCD-01234-56789-EFGHJ", id="one long"),
        pytest.param("ABCD-01234-56789-EFGU", id="U"),
        pytest.param("ABCD-01234-56789-EFG*", id="punctuation"),
        pytest.param("~ABC-01234-56789-EFGH", id="tilde in the selector"),
        pytest.param("ABCD-~1234-56789-EFGH", id="tilde in the secret"),
        pytest.param("ABCD~01234-56789-EFGH", id="tilde between"),
        pytest.param("ABCD-01234-56789-EFGH\n", id="line end"),
        pytest.param("ABCD-01234-56789-EFG\uff28", id="fullwidth H"),
        pytest.param("ABCD-\u0660\u0661\u0662\u0663\u0664-56789-EFGH", id="Arabic digits"),
        pytest.param("ABCD\u00a001234-56789-EFGH", id="no-break space"),
        # "\ufb06".upper() is "ST", so that 17 characters would become 18.
        pytest.param("ABCD-01234-56789-EF\ufb06", id="grows in upper case"),
        pytest.param("ABCD-01234-56789-EFG\u0131", id="dotless i"),
    ],
)
def test_a_text_that_cannot_be_a_code_is_refused(text: str) -> None:
    assert codes.parse(text) is None


def test_a_long_text_is_not_a_code_even_if_it_contains_one() -> None:
    room = 64 - len(CODE.text)
    assert codes.parse(" " * room + CODE.text) == CODE
    assert codes.parse(" " * (room + 1) + CODE.text) is None


def test_the_hash_is_bcrypt_at_cost_ten_over_the_secret() -> None:
    assert codes.COST == 10
    assert HASH.startswith("$2b$10$")
    assert bcrypt.checkpw(CODE.secret.encode(), HASH.encode())


def test_equal_codes_have_different_hashes() -> None:
    assert codes.hash_code(CODE) != HASH


def test_the_right_code_verifies() -> None:
    assert codes.verify_code(HASH, CODE)


def test_a_code_with_another_secret_does_not_verify() -> None:
    assert not codes.verify_code(HASH, BackupCode("ABCD", "0123456789EFGJ"))


def test_no_code_verifies_without_a_row() -> None:
    assert not codes.verify_code(None, CODE)


def test_a_damaged_row_is_an_error_and_not_a_right_code() -> None:
    with pytest.raises(ValueError, match="salt"):
        codes.verify_code("$2b$10$damaged", CODE)


@pytest.mark.parametrize("stored", [HASH, None], ids=["known selector", "unknown selector"])
@pytest.mark.parametrize("secret", [CODE.secret, "ZZZZZZZZZZZZZZ"], ids=["right", "wrong"])
def test_verifying_costs_exactly_one_bcrypt_at_cost_ten(stored: str | None, secret: str) -> None:
    calls: list[str] = []

    def watch(frame: FrameType, event: str, called: object) -> None:
        if event == "c_call" and getattr(called, "__name__", "") in {"checkpw", "hashpw", "kdf"}:
            calls.append(str(frame.f_locals.get("stored") or codes._DUMMY_HASH))

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        codes.verify_code(stored, BackupCode("ABCD", secret))
    finally:
        sys.setprofile(before)
    assert [used[:7] for used in calls] == ["$2b$10$"]
