import base64
import traceback

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from czo_auth.crypto import base64url, sealing
from czo_auth.crypto.sealing import KeyRing, KeyRingError, OpenError, UnknownKeyId

KEY = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
OTHER = bytes.fromhex("feffe9928665731c6d6a8f9467308308aabbccddeeff00112233445566778899")
TEXT, OTHER_TEXT = (base64.b64encode(key).decode() for key in (KEY, OTHER))
RING = KeyRing({"k1": KEY})
PLACE = {"user": "u1", "enrolment": "e1"}
SECRET = b"12345678901234567890"
ENVELOPE = RING.seal(SECRET, purpose="totp", bound_to=PLACE)

places = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4)


# Reading a ring


def test_a_bare_key_is_k1() -> None:
    ring = KeyRing.parse(TEXT)
    assert (ring.primary, ring.kids) == ("k1", ("k1",))
    assert ring.open(ENVELOPE, purpose="totp", bound_to=PLACE) == SECRET


def test_the_first_key_seals_and_all_open() -> None:
    ring = KeyRing.parse(f"k2:{OTHER_TEXT},k1:{TEXT}")
    assert (ring.primary, ring.kids) == ("k2", ("k2", "k1"))
    assert ring.kid_of(ring.seal(b"", purpose="totp", bound_to={})) == "k2"
    assert ring.open(ENVELOPE, purpose="totp", bound_to=PLACE) == SECRET


@pytest.mark.parametrize("kid", ["a", "K-2026_b", "0123456789abcdef"])
def test_an_id_has_up_to_sixteen_letters_digits_dashes_and_underscores(kid: str) -> None:
    assert KeyRing.parse(f"{kid}:{TEXT}").primary == kid


@given(st.binary(min_size=32, max_size=32).filter(lambda key: len(set(key)) > 16))
def test_a_key_is_read_in_both_alphabets_with_and_without_padding(key: bytes) -> None:
    texts = [base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()]
    rings = [KeyRing.parse(text) for padded in texts for text in (padded, padded.rstrip("="))]
    assert len({ring.check_value("k1") for ring in rings}) == 1
    assert rings[0].check_value("k1") == KeyRing({"k1": key}).check_value("k1")


def _base64(key: bytes) -> str:
    return base64.b64encode(key).decode()


MALFORMED = {
    "nothing": "",
    "space": " ",
    "id alone": "k1:",
    "31 bytes": _base64(KEY[:31]),
    "33 bytes": _base64(KEY + b"x"),
    "16 bytes": _base64(KEY[:16]),
    "hex": KEY.hex(),
    "line end": TEXT + "\n",
    "space in front": " " + TEXT,
    "space between": f"k2:{OTHER_TEXT}, k1:{TEXT}",
    "two paddings": TEXT + "=",
    "unused bits": TEXT[:-2] + chr(ord(TEXT[-2]) + 1) + "=",
    "mixed alphabets": _base64(bytes.fromhex("fbef") + KEY[:28] + bytes.fromhex("fffe")).replace("++", "-+"),
    "foreign character": TEXT[:20] + "!" + TEXT[21:],
    "Cyrillic letter": TEXT[:20] + "\u0410" + TEXT[21:],
    "empty entry": f"k2:{OTHER_TEXT},",
    "entry without an id among others": f"k2:{OTHER_TEXT},{TEXT}",
    "id and key exchanged": f"{TEXT}:k1",
    "empty id": f":{TEXT}",
    "long id": f"{'k' * 17}:{TEXT}",
    "point in the id": f"k.1:{TEXT}",
    "two colons": f"k1:k2:{TEXT}",
    "id twice": f"k1:{TEXT},k1:{OTHER_TEXT}",
    "same entry twice": f"k1:{TEXT},k1:{TEXT}",
    "zeros": _base64(bytes(32)),
    "ones": _base64(b"\xff" * 32),
    "period 2": _base64(KEY[:2] * 16),
    "period 4": _base64(KEY[:4] * 8),
    "period 8": _base64(KEY[:8] * 4),
    "period 16": _base64(KEY[:16] * 2),
    "weak second key": f"k2:{TEXT},k1:{_base64(bytes(32))}",
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_a_malformed_ring_is_refused_and_not_repeated(fault: str) -> None:
    with pytest.raises(KeyRingError) as caught:
        KeyRing.parse(MALFORMED[fault])
    said = "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    for entry in MALFORMED[fault].split(","):
        for part in entry.split(":"):
            assert len(part) < 5 or not any(part[at : at + 5] in said for at in range(len(part) - 4))


def test_the_error_says_which_entry_is_at_fault() -> None:
    with pytest.raises(KeyRingError, match=r"Entry 2 .* repeated pattern"):
        KeyRing.parse(MALFORMED["weak second key"])
    with pytest.raises(KeyRingError, match=r"Entry 2 .* needs an id"):
        KeyRing.parse(MALFORMED["entry without an id among others"])
    with pytest.raises(KeyRingError, match=r"Entry 2 .* strict base64"):
        KeyRing.parse(f"k2:{OTHER_TEXT},k1:{TEXT}=")
    with pytest.raises(KeyRingError, match=r"Entry 2 .* an earlier one"):
        KeyRing.parse(f"k1:{OTHER_TEXT},k1:{TEXT}")


def test_a_key_ring_error_is_a_value_error() -> None:
    assert issubclass(KeyRingError, ValueError)


@pytest.mark.parametrize(
    "keys",
    [{}, {"k1": KEY[:31]}, {"k1": bytes(32)}, {"k.1": KEY}, {"": KEY}],
    ids=["empty", "short", "zeros", "bad id", "no id"],
)
def test_a_ring_made_from_bytes_is_held_to_the_same_rules(keys: dict[str, bytes]) -> None:
    with pytest.raises(KeyRingError):
        KeyRing(keys)


@pytest.mark.parametrize("period", [1, 2, 4, 8, 16])
def test_a_key_that_repeats_itself_is_refused(period: int) -> None:
    with pytest.raises(KeyRingError, match=r"Entry 2 .* repeated pattern"):
        KeyRing({"k1": KEY, "k2": KEY[:period] * (32 // period)})


def test_the_representation_hides_the_keys() -> None:
    ring = KeyRing.parse(f"k2:{OTHER_TEXT},k1:{TEXT}")
    assert repr(ring) == str(ring) == "KeyRing(kids=('k2', 'k1'))"


def test_a_new_key_text_is_a_ring_and_differs() -> None:
    text = sealing.new_key_text()
    assert text.startswith("k1:")
    assert KeyRing.parse(text).kids == ("k1",)
    assert KeyRing.parse(f"{sealing.new_key_text('k2')},{text}").kids == ("k2", "k1")
    assert text != sealing.new_key_text()


def test_a_new_key_text_with_a_bad_id_is_refused() -> None:
    with pytest.raises(KeyRingError, match="Entry 1"):
        sealing.new_key_text("k:1")


# Sealing and opening


@given(plaintext=st.binary(max_size=200), purpose=st.text(max_size=12), bound_to=places)
def test_what_was_sealed_opens_in_its_place(plaintext: bytes, purpose: str, bound_to: dict[str, str]) -> None:
    envelope = RING.seal(plaintext, purpose=purpose, bound_to=bound_to)
    assert RING.open(envelope, purpose=purpose, bound_to=bound_to) == plaintext


def test_an_envelope_has_four_parts_and_a_nonce_of_its_own() -> None:
    version, kid, nonce, sealed = ENVELOPE.split(".")
    assert (version, kid) == ("v1", "k1")
    assert len(base64url.decode(nonce)) == 12
    assert len(base64url.decode(sealed)) == len(SECRET) + 16
    nonces = {RING.seal(SECRET, purpose="totp", bound_to=PLACE).split(".")[2] for _ in range(500)}
    assert len(nonces) == 500


def test_yesterdays_envelope_opens_today() -> None:
    # Written down when the format was: a change of sub-keys or bindings would lose every stored secret.
    envelope = "v1.k1.k9xgItNG8wT-hUYR.n_OA7Blm0OZhMyNoyOeclLX6bF9cjNV7aySVI6ERAnyh--SJ"
    assert RING.open(envelope, purpose="totp", bound_to=PLACE) == SECRET
    assert RING.check_value("k1") == "01e4244ca8fb995433127cc63da25694"
    assert RING.derive("cookies").hex() == "f04f65abd9f6567ed63471945e84699b63736f72880dce092edd5fb262605ecf"


def test_the_order_of_the_bindings_does_not_matter() -> None:
    assert RING.open(ENVELOPE, purpose="totp", bound_to=dict(reversed(PLACE.items()))) == SECRET


@given(place=places, other=places)
def test_an_envelope_does_not_open_in_another_place(place: dict[str, str], other: dict[str, str]) -> None:
    envelope = RING.seal(SECRET, purpose="totp", bound_to=place)
    if place == other:
        assert RING.open(envelope, purpose="totp", bound_to=other) == SECRET
    else:
        with pytest.raises(OpenError):
            RING.open(envelope, purpose="totp", bound_to=other)


@pytest.mark.parametrize(
    ("place", "other"),
    [
        ({"a": "b", "c": "d"}, {"a": 'b","c":"d'}),
        ({"a": "b", "c": "d"}, {"a": 'b"],["c","d'}),
        ({"ab": "c"}, {"a": "bc"}),
        ({"a": "1"}, {"b": "1"}),
        ({"a": "x", "b": "y"}, {"a": "y", "b": "x"}),
        ({"a": ""}, {}),
        ({"a": "\\u00e4"}, {"a": "ä"}),
    ],
)
def test_places_that_look_alike_are_distinguished(place: dict[str, str], other: dict[str, str]) -> None:
    with pytest.raises(OpenError):
        RING.open(RING.seal(SECRET, purpose="p", bound_to=place), purpose="p", bound_to=other)


def test_a_binding_with_lone_surrogates_is_refused() -> None:
    # Escaped to ASCII, this pair would be the same place as the character that it spells.
    with pytest.raises(ValueError, match="surrogates"):
        RING.seal(SECRET, purpose="totp", bound_to={"user": "\ud83d\ude00"})


def test_an_envelope_does_not_open_for_another_purpose() -> None:
    with pytest.raises(OpenError):
        RING.open(ENVELOPE, purpose="signing-key", bound_to=PLACE)


@given(at=st.integers(0, len(ENVELOPE) - 1), char=st.sampled_from("AB01abz_-.=+/ \n\u0410"))
def test_an_envelope_with_one_changed_character_does_not_open(at: int, char: str) -> None:
    changed = ENVELOPE[:at] + char + ENVELOPE[at + 1 :]
    if changed == ENVELOPE:
        return
    with pytest.raises(OpenError):
        RING.open(changed, purpose="totp", bound_to=PLACE)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param(ENVELOPE + "=", id="padding"),
        pytest.param(ENVELOPE + "\n", id="line end"),
        pytest.param(ENVELOPE + ".x", id="five parts"),
        pytest.param(ENVELOPE.replace("v1.", "v2."), id="another version"),
        pytest.param(ENVELOPE[:-2], id="cut"),
        pytest.param("v1.k1.AAAAAAAAAAAAAAAA.AAAA", id="no room for a tag"),
        pytest.param("v1.k1.AAAAAAAAAAAAAAAA." + "A" * 21 + "B", id="unused bits"),
        pytest.param("v1.k1.AAAA." + "A" * 22, id="short nonce"),
    ],
)
def test_a_malformed_envelope_does_not_open(text: str) -> None:
    with pytest.raises(OpenError):
        RING.open(text, purpose="totp", bound_to=PLACE)


def test_an_envelope_of_an_unknown_key_is_distinguished() -> None:
    other = KeyRing({"k2": OTHER})
    with pytest.raises(UnknownKeyId) as caught:
        other.open(ENVELOPE, purpose="totp", bound_to=PLACE)
    assert isinstance(caught.value, OpenError)


def test_an_envelope_does_not_open_with_another_key_of_the_same_id() -> None:
    with pytest.raises(OpenError) as caught:
        KeyRing({"k1": OTHER}).open(ENVELOPE, purpose="totp", bound_to=PLACE)
    assert not isinstance(caught.value, UnknownKeyId)


def test_the_key_id_is_bound_even_between_equal_keys() -> None:
    ring = KeyRing({"k1": KEY, "k2": KEY})
    with pytest.raises(OpenError):
        ring.open(ENVELOPE.replace(".k1.", ".k2."), purpose="totp", bound_to=PLACE)


def test_the_master_key_itself_encrypts_nothing() -> None:
    nonce, sealed = (base64url.decode(part) for part in ENVELOPE.split(".")[2:])
    own = AESGCM(KEY)
    # The first 20 bytes are the counter-mode stream over the secret, whatever the associated data.
    assert own.encrypt(nonce, SECRET, None)[: len(SECRET)] != sealed[: len(SECRET)]


def test_every_purpose_has_its_own_sub_key() -> None:
    nonce, sealed = (base64url.decode(part) for part in ENVELOPE.split(".")[2:])
    derived = [RING.derive(purpose) for purpose in ("totp", "seal:totp", "")]
    for key in derived:
        assert AESGCM(key).encrypt(nonce, SECRET, None)[: len(SECRET)] != sealed[: len(SECRET)]
    assert len(set(derived)) == 3
    assert RING.check_value("k1") not in {key[:16].hex() for key in derived}


def test_the_key_id_of_an_envelope_is_read_without_the_key() -> None:
    assert KeyRing({"k2": OTHER}).kid_of(ENVELOPE) == sealing.kid_of(ENVELOPE) == "k1"
    with pytest.raises(OpenError):
        RING.kid_of("v1.k1")


# Moving to another key


def test_reencrypting_moves_an_envelope_to_the_primary_key() -> None:
    ring = KeyRing({"k2": OTHER, "k1": KEY})
    moved = ring.reencrypt(ENVELOPE, purpose="totp", bound_to=PLACE)
    assert moved is not None
    assert KeyRing({"k2": OTHER}).open(moved, purpose="totp", bound_to=PLACE) == SECRET
    assert ring.reencrypt(moved, purpose="totp", bound_to=PLACE) is None


def test_reencrypting_refuses_what_does_not_open() -> None:
    ring = KeyRing({"k2": OTHER, "k1": KEY})
    with pytest.raises(OpenError):
        ring.reencrypt(ENVELOPE, purpose="totp", bound_to={})
    with pytest.raises(UnknownKeyId):
        ring.reencrypt(ENVELOPE.replace(".k1.", ".k0."), purpose="totp", bound_to=PLACE)


# Derived values


def test_the_check_value_tells_keys_apart_and_shows_none() -> None:
    ring = KeyRing({"k2": OTHER, "k1": KEY})
    assert ring.check_value("k1") == RING.check_value("k1") != ring.check_value("k2")
    assert len(ring.check_value("k1")) == 32
    assert ring.check_value("k1") not in KEY.hex()
    with pytest.raises(UnknownKeyId):
        ring.check_value("k3")


def test_a_derived_key_belongs_to_its_purpose_and_key() -> None:
    ring = KeyRing({"k2": OTHER, "k1": KEY})
    assert len(ring.derive("csrf")) == 32
    assert ring.derive("csrf") == ring.derive("csrf", kid="k2")
    assert ring.derive("csrf", kid="k1") == RING.derive("csrf")
    assert len({ring.derive("csrf"), ring.derive("cookies"), ring.derive("csrf", kid="k1")}) == 3
    with pytest.raises(UnknownKeyId):
        ring.derive("csrf", kid="k3")
