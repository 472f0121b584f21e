import pytest
from hypothesis import given
from hypothesis import strategies as st

from czo_auth.crypto import base64url


@given(st.binary(max_size=100))
def test_what_was_encoded_decodes_to_the_same_bytes(raw: bytes) -> None:
    assert base64url.decode(base64url.encode(raw)) == raw


@given(st.text(alphabet="ABCDEFwxyz0189-_+/= \n", max_size=12))
def test_only_the_canonical_spelling_is_read(text: str) -> None:
    try:
        raw = base64url.decode(text)
    except ValueError:
        return
    assert base64url.encode(raw) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("AA==", id="padding"),
        pytest.param("AB", id="unused bits"),
        pytest.param("A", id="impossible length"),
        pytest.param("A+/A", id="standard alphabet"),
        pytest.param("AA AA", id="space"),
        pytest.param("AAAA\n", id="line end"),
        pytest.param("AAA\u0410", id="Cyrillic A"),
    ],
)
def test_a_foreign_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        base64url.decode(text)
