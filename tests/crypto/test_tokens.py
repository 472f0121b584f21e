import hashlib
import re
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from czo_auth.crypto import tokens

PREFIXES = [
    tokens.SESSION,
    tokens.REFRESH,
    tokens.CHALLENGE,
    tokens.INVITATION,
    tokens.MAIL,
    tokens.TRUSTED_DEVICE,
    tokens.DEFAULT_API_KEY,
]
ZERO_TOKEN = "czo_" + 43 * "A"


def test_prefixes_are_those_of_the_contract() -> None:
    assert PREFIXES == ["czs_", "czr_", "czc_", "czi_", "czm_", "czd_", "czo_"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_new_token_has_the_form_of_the_requirement(prefix: str) -> None:
    for _ in range(200):
        token = tokens.new_token(prefix)
        assert re.fullmatch(prefix + r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", token, re.ASCII)
        assert tokens.is_well_formed(token, prefix)


def test_new_tokens_differ() -> None:
    assert len({tokens.new_token("czo_") for _ in range(1000)}) == 1000


def test_random_bytes_have_the_length_asked_for_and_differ() -> None:
    assert [len(tokens.random_bytes(n)) for n in (0, 1, 32)] == [0, 1, 32]
    assert tokens.random_bytes(32) != tokens.random_bytes(32)


def test_token_of_one_kind_is_not_well_formed_as_another() -> None:
    token = tokens.new_token(tokens.SESSION)
    assert [tokens.is_well_formed(token, prefix) for prefix in PREFIXES] == [True] + 6 * [False]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("czo_", id="prefix alone"),
        pytest.param(ZERO_TOKEN[:-1], id="one short"),
        pytest.param(ZERO_TOKEN + "A", id="one long"),
        pytest.param(ZERO_TOKEN[:-1] + "B", id="unused bits in the last character"),
        pytest.param(ZERO_TOKEN + "\n", id="line end"),
        pytest.param(" " + ZERO_TOKEN, id="space before"),
        pytest.param(ZERO_TOKEN + "=", id="padding"),
        pytest.param("CZO_" + 43 * "A", id="prefix in upper case"),
        pytest.param("czo_" + 42 * "A" + "\uff21", id="fullwidth A"),
        pytest.param("czo_" + 21 * "A" + "\u0665" + 21 * "A", id="Arabic digit"),
        pytest.param("czo_" + 41 * "A" + "+A", id="standard base64"),
        pytest.param("xczo_" + 43 * "A", id="something before"),
    ],
)
def test_a_text_of_another_form_is_not_well_formed(text: str) -> None:
    assert tokens.is_well_formed(ZERO_TOKEN, "czo_")
    assert not tokens.is_well_formed(text, "czo_")


def test_prefix_is_taken_literally() -> None:
    assert tokens.is_well_formed("a.b_" + 43 * "A", "a.b_")
    assert not tokens.is_well_formed("axb_" + 43 * "A", "a.b_")


def test_one_last_character_in_four_is_canonical() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    accepted = [last for last in alphabet if tokens.is_well_formed(ZERO_TOKEN[:-1] + last, "czo_")]
    assert accepted == list(alphabet[::4])


@given(st.text(alphabet="czos_A9-+= \n\u0665", max_size=60) | st.just(ZERO_TOKEN))
def test_only_well_formed_texts_are_the_ones_that_new_token_could_give(text: str) -> None:
    is_possible = (
        len(text) == 47
        and text.startswith("czo_")
        and set(text[4:]) <= set("czos_A9-")
        and text[-1] in "AcosI048"
    )
    assert tokens.is_well_formed(text, "czo_") is is_possible


def test_digest_is_the_hash_of_the_exact_text() -> None:
    token = tokens.new_token("czo_")
    assert tokens.digest(token) == hashlib.sha256(token.encode()).hexdigest()
    assert tokens.digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert tokens.digest("abc") != tokens.digest("ABC")


def test_digest_refuses_what_is_not_ascii_and_does_not_repeat_it() -> None:
    with pytest.raises(ValueError, match="ASCII") as caught:
        tokens.digest("czo_secretsecret\xe9")
    assert "secret" not in repr(caught.value)
    assert not isinstance(caught.value, UnicodeError), "a UnicodeError carries the whole text"


def test_digest_bytes_is_sha256_in_lowercase_hex() -> None:
    assert tokens.digest_bytes(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_importing_tokens_loads_no_heavy_library() -> None:
    script = (
        "import sys, czo_auth.crypto.tokens;"
        "print([m for m in ('cryptography', 'bcrypt', 'argon2', 'joserfc', 'segno') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@example("czc_", "czs_", "")
@given(st.text(max_size=40), st.sampled_from(PREFIXES), st.text(max_size=40))
def test_masked_text_shows_no_token(before: str, prefix: str, after: str) -> None:
    token = tokens.new_token(prefix)
    text = tokens.masked(f"{before}{token}{after}")
    assert token[tokens.SHOWN_CHARACTERS :] not in text
    # What begins like a token right before this one takes it along, and shows its own beginning.
    assert token[: tokens.SHOWN_CHARACTERS] in text or any(other in before for other in PREFIXES)
    assert tokens.masked(text) == text


def test_masking_leaves_other_text_alone() -> None:
    text = "czo_short, acme_" + 43 * "A" + " and czx_" + 43 * "A"
    assert tokens.masked(text) == text
    assert tokens.masked(text, api_key_prefix="acme_") == "czo_short, acme_AAA… and czx_" + 43 * "A"


def test_other_prefixes_stay_as_they_are() -> None:
    assert (tokens.DEVICE_CODE, tokens.CEREMONY, tokens.KNOWN_BROWSER) == ("czv_", "czw_", "czb_")
    assert tokens.WEBHOOK_SECRET == "whsec_"


@pytest.mark.parametrize("rest", ["A" * 22, "a+/_-" * 9, "A" * 43 + "=", "A" * 42 + "=="])
def test_secret_of_a_webhook_is_masked_to_its_end(rest: str) -> None:
    assert tokens.masked(f"<whsec_{rest}>") == f"<whsec_{rest[:2]}…>"


def test_short_text_that_begins_like_the_secret_of_a_webhook_is_left_alone() -> None:
    assert tokens.masked("whsec_" + "A" * 21) == "whsec_" + "A" * 21


def test_cookie_holds_eight_tokens_the_first_one_once() -> None:
    nine = [tokens.new_token(tokens.TRUSTED_DEVICE) for _ in range(9)]
    joined = tokens.join_tokens(nine[3], nine)
    assert joined == ".".join([nine[3], *nine[:3], *nine[4:8]])
    assert tokens.split_tokens(joined, tokens.TRUSTED_DEVICE) == [nine[3], *nine[:3], *nine[4:8]]
    assert tokens.split_tokens(".".join(nine), tokens.TRUSTED_DEVICE) == nine[:8]
    assert tokens.join_tokens(nine[0], []) == nine[0]


def test_other_parts_of_a_cookie_are_skipped() -> None:
    token, other = tokens.new_token(tokens.TRUSTED_DEVICE), tokens.new_token(tokens.SESSION)
    assert tokens.split_tokens(f".{other}.{token}.{token}A.", tokens.TRUSTED_DEVICE) == [token]
    assert tokens.split_tokens("", tokens.TRUSTED_DEVICE) == []
