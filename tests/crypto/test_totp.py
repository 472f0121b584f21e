import base64
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import FrameType
from typing import get_args
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from czo_auth.crypto import totp

VECTORS = Path(__file__).parent.parent / "vectors"
HOTP_VECTORS = json.loads((VECTORS / "rfc4226.json").read_text())
TOTP_VECTORS = json.loads((VECTORS / "rfc6238.json").read_text())

SECRET = b"12345678901234567890"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STEP = totp.step_at(NOW)


@pytest.mark.parametrize(("counter", "code"), list(enumerate(HOTP_VECTORS["codes_by_counter"])))
def test_hotp_gives_the_codes_of_rfc_4226(counter: int, code: str) -> None:
    assert totp.hotp(HOTP_VECTORS["secret_ascii"].encode(), counter) == code


@pytest.mark.parametrize("algorithm", get_args(totp.Algorithm))
@pytest.mark.parametrize("vector", TOTP_VECTORS["codes"], ids=lambda vector: vector["unix_time"])
def test_codes_are_those_of_rfc_6238(algorithm: totp.Algorithm, vector: dict[str, str]) -> None:
    secret = TOTP_VECTORS["secrets_ascii"][algorithm].encode()
    step = totp.step_at(datetime.fromtimestamp(int(vector["unix_time"]), UTC))
    assert step == int(vector["counter"], 16)
    assert totp.hotp(secret, step, digits=8, algorithm=algorithm) == vector[algorithm]


@given(secret=st.binary(min_size=16, max_size=64), counter=st.integers(0, 2**64 - 1))
def test_codes_are_those_of_pyotp(secret: bytes, counter: int) -> None:
    assert totp.hotp(secret, counter) == pyotp.HOTP(base64.b32encode(secret).decode()).at(counter)


def test_counter_has_64_bits() -> None:
    assert totp.hotp(SECRET, 2**32) != totp.hotp(SECRET, 0)
    assert re.fullmatch("[0-9]{6}", totp.hotp(SECRET, 2**64 - 1))


@pytest.mark.parametrize("counter", [-1, 2**64])
def test_a_counter_beyond_64_bits_is_refused(counter: int) -> None:
    with pytest.raises(ValueError, match="64-bit"):
        totp.hotp(SECRET, counter)


@pytest.mark.parametrize("digits", [5, 9])
def test_a_code_of_other_than_six_to_eight_digits_is_refused(digits: int) -> None:
    with pytest.raises(ValueError, match="digits"):
        totp.hotp(SECRET, 1, digits=digits)


@pytest.mark.parametrize("secret", [b"", 9 * b"x"])
def test_a_secret_under_80_bits_is_refused(secret: bytes) -> None:
    with pytest.raises(ValueError, match="80 bits"):
        totp.hotp(secret, 1)


def test_a_new_secret_has_160_bits_and_differs() -> None:
    assert len(totp.new_secret()) == 20
    assert totp.new_secret() != totp.new_secret()


def test_a_step_lasts_thirty_seconds_from_the_epoch() -> None:
    start = datetime(1970, 1, 1, tzinfo=UTC)
    assert totp.matching_step(SECRET, totp.hotp(SECRET, 0), now=start, drift=1) == 0
    assert totp.step_at(start) == 0
    assert totp.step_at(start + timedelta(seconds=29, microseconds=999_999)) == 0
    assert totp.step_at(start + timedelta(seconds=30)) == 1
    assert totp.step_at(start - timedelta(microseconds=1)) == -1


@given(st.integers(0, 2**33))
def test_the_last_microsecond_of_a_step_is_still_in_it(step: int) -> None:
    try:
        end = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=30 * (step + 1), microseconds=-1)
    except OverflowError:
        return
    assert totp.step_at(end) == step


def test_a_step_does_not_depend_on_the_time_zone() -> None:
    assert totp.step_at(NOW.astimezone(timezone(timedelta(hours=5, minutes=45)))) == STEP


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        totp.step_at(NOW.replace(tzinfo=None))
    with pytest.raises(ValueError, match="aware"):
        totp.matching_step(SECRET, "000000", now=NOW.replace(tzinfo=None), drift=1)


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_the_step_that_matched_is_given_and_not_the_current_one(offset: int) -> None:
    code = totp.hotp(SECRET, STEP + offset)
    assert totp.matching_step(SECRET, code, now=NOW, drift=1) == STEP + offset


@pytest.mark.parametrize("offset", [-2, 2])
def test_a_code_beyond_the_drift_matches_nothing(offset: int) -> None:
    code = totp.hotp(SECRET, STEP + offset)
    assert totp.matching_step(SECRET, code, now=NOW, drift=1) is None
    assert totp.matching_step(SECRET, code, now=NOW, drift=2) == STEP + offset


def test_without_drift_only_the_current_step_matches() -> None:
    assert totp.matching_step(SECRET, totp.hotp(SECRET, STEP), now=NOW, drift=0) == STEP
    assert totp.matching_step(SECRET, totp.hotp(SECRET, STEP - 1), now=NOW, drift=0) is None


def test_a_step_up_to_the_last_spent_one_does_not_match() -> None:
    code = totp.hotp(SECRET, STEP)
    assert totp.matching_step(SECRET, code, now=NOW, drift=1, after=STEP - 1) == STEP
    assert totp.matching_step(SECRET, code, now=NOW, drift=1, after=STEP) is None
    assert totp.matching_step(SECRET, code, now=NOW, drift=1, after=STEP + 1) is None


def test_step_zero_counts_as_spent() -> None:
    start = datetime(1970, 1, 1, tzinfo=UTC)
    assert totp.matching_step(SECRET, totp.hotp(SECRET, 0), now=start, drift=1, after=0) is None


def _secret_with_equal_codes() -> bytes:
    """Find a secret that gives one code at two steps within a drift of 60; one in about 140 does."""
    for number in range(10_000):
        secret = number.to_bytes(20, "big")
        codes = [totp.hotp(secret, step) for step in range(STEP - 60, STEP + 61)]
        if len(set(codes)) < len(codes):
            return secret
    raise AssertionError("no such secret")


def test_of_two_steps_with_the_same_code_the_earliest_unspent_one_matches() -> None:
    secret = _secret_with_equal_codes()
    steps = range(STEP - 60, STEP + 61)
    codes = [totp.hotp(secret, step) for step in steps]
    code = next(code for code in codes if codes.count(code) > 1)
    early, late, *_ = [step for step, other in zip(steps, codes, strict=True) if other == code]
    assert totp.matching_step(secret, code, now=NOW, drift=60) == early
    assert totp.matching_step(secret, code, now=NOW, drift=60, after=early - 1) == early
    assert totp.matching_step(secret, code, now=NOW, drift=60, after=early) == late


@pytest.mark.parametrize(
    "spell",
    [
        pytest.param(lambda code: code + "\n", id="line end"),
        pytest.param(lambda code: " " + code, id="space"),
        pytest.param(lambda code: code[:3] + " " + code[3:], id="not normalized"),
        pytest.param(lambda code: code[:-1], id="five digits"),
        pytest.param(lambda code: "0" + code, id="seven digits"),
        pytest.param(lambda code: "+" + code[1:], id="sign"),
        pytest.param(lambda code: "", id="nothing"),
        pytest.param(lambda code: "".join(chr(0x660 + int(digit)) for digit in code), id="Arabic digits"),
        pytest.param(lambda code: "".join(chr(0xFF10 + int(digit)) for digit in code), id="fullwidth digits"),
    ],
)
def test_a_right_code_in_another_spelling_matches_nothing(spell: Callable[[str], str]) -> None:
    code = totp.hotp(SECRET, STEP)
    assert totp.matching_step(SECRET, code, now=NOW, drift=1) == STEP
    assert totp.matching_step(SECRET, spell(code), now=NOW, drift=1) is None


@pytest.mark.parametrize("offset", [-2, 0, 2, 3])
def test_every_candidate_is_compared_whichever_is_right(offset: int) -> None:
    code = totp.hotp(SECRET, STEP + offset)
    compared = 0

    def watch(_frame: FrameType, event: str, called: object) -> None:
        nonlocal compared
        if event == "c_call" and getattr(called, "__name__", "") == "compare_digest":
            compared += 1

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        totp.matching_step(SECRET, code, now=NOW, drift=2)
    finally:
        sys.setprofile(before)
    assert compared == 5


def test_a_wrong_code_matches_nothing() -> None:
    right = {totp.hotp(SECRET, STEP + offset) for offset in (-1, 0, 1)}
    wrong = next(code for code in ("000000", "111111", "222222", "333333") if code not in right)
    assert totp.matching_step(SECRET, wrong, now=NOW, drift=1) is None


def test_a_negative_drift_is_refused() -> None:
    with pytest.raises(ValueError, match="drift"):
        totp.matching_step(SECRET, "000000", now=NOW, drift=-1)


def test_steps_before_the_epoch_are_left_out() -> None:
    start = datetime(1970, 1, 1, tzinfo=UTC)
    assert totp.matching_step(SECRET, totp.hotp(SECRET, 1), now=start, drift=1) == 1
    assert totp.matching_step(SECRET, "000000", now=start - timedelta(days=1), drift=1) is None


@pytest.mark.parametrize("shown", ["123456", "123 456", "123-456", " 1 2 3-4-5 6 "])
def test_normalize_takes_out_what_authenticators_put_in(shown: str) -> None:
    assert totp.normalize(shown) == "123456"


@pytest.mark.parametrize("text", ["123\u00a0456", "123\u2011456", "123456\n", "\u0661\u0662\u0663456"])
def test_normalize_leaves_other_characters_for_the_check_to_refuse(text: str) -> None:
    assert totp.normalize(text) == text


@given(st.binary(min_size=16, max_size=40))
def test_a_secret_is_spelled_in_base32_without_padding(secret: bytes) -> None:
    text = totp.encode_secret(secret)
    assert re.fullmatch("[A-Z2-7]+", text)
    assert base64.b32decode(text + "=" * (-len(text) % 8)) == secret


def test_the_uri_says_what_the_key_uri_format_asks_for() -> None:
    uri = totp.otpauth_uri(SECRET, account="ada@example.com", issuer="Czo Shop")
    assert uri == (
        "otpauth://totp/Czo%20Shop:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        "&issuer=Czo%20Shop&algorithm=SHA1&digits=6&period=30"
    )


def test_no_character_of_a_name_ends_its_part_of_the_uri() -> None:
    uri = totp.otpauth_uri(SECRET, account="a/b?c#d", issuer="R&D = 1+1")
    assert uri.startswith("otpauth://totp/R%26D%20%3D%201%2B1:a%2Fb%3Fc%23d?secret=")
    assert "&issuer=R%26D%20%3D%201%2B1&" in uri


@given(
    account=st.text(min_size=1).filter(lambda text: text.replace(":", "").strip() != ""),
    issuer=st.text(min_size=1).filter(lambda text: text.replace(":", "").strip() != ""),
)
def test_the_uri_is_read_the_same_whatever_the_names_hold(account: str, issuer: str) -> None:
    uri = totp.otpauth_uri(SECRET, account=account, issuer=issuer)
    assert re.fullmatch(r"[A-Za-z0-9_.~%:/?=&-]+", uri)
    parts = urlsplit(uri)
    read_issuer, read_account = unquote(parts.path.removeprefix("/")).split(":")
    assert read_issuer == " ".join(issuer.replace(":", " ").split())
    assert read_account == " ".join(account.replace(":", " ").split())
    assert parse_qs(parts.query) == {
        "secret": [totp.encode_secret(SECRET)],
        "issuer": [read_issuer],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }


def test_the_uri_gives_an_authenticator_the_same_codes() -> None:
    secret = totp.new_secret()
    device = pyotp.parse_uri(totp.otpauth_uri(secret, account="ada@example.com", issuer="Czo"))
    assert isinstance(device, pyotp.TOTP)
    assert (device.issuer, device.name) == ("Czo", "ada@example.com")
    assert totp.matching_step(secret, device.at(NOW), now=NOW, drift=0) == STEP


@pytest.mark.parametrize(("account", "issuer"), [("", "Czo"), ("ada", ""), (" : ", "Czo")])
def test_a_uri_without_names_is_refused(account: str, issuer: str) -> None:
    with pytest.raises(ValueError, match="name"):
        totp.otpauth_uri(SECRET, account=account, issuer=issuer)


@pytest.mark.parametrize("size", range(16, 25))
def test_a_secret_is_read_back_from_its_spelling(size: int) -> None:
    secret = bytes(range(size))
    assert totp.decode_secret(totp.encode_secret(secret)) == secret


def test_secrets_of_80_bits_make_codes_and_those_under_128_are_accepted_for_a_while_only() -> None:
    assert re.fullmatch("[0-9]{6}", totp.hotp(bytes(10), 0))
    assert (totp.MIN_IMPORTED_SECRET_BYTES, totp.MIN_SECRET_BYTES) == (10, 16)
