"""Tokens in streams: wherever they lie, and none that is none (S15)."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from czo_auth.cli.scan.stream import Hit, Searcher
from czo_auth.cli.scan.token_finder import AFTER, BEFORE, TokenFinder
from czo_auth.crypto import base64url, tokens, webhook_signatures

KEY = "czo_" + base64url.encode(bytes(range(32)))
PLAIN = TokenFinder()
ALL = TokenFinder(all_kinds=True)
SMALL = 64
"""Bytes of a piece: far below a token with what stands around it, so that borders fall everywhere."""

keys = st.binary(min_size=32, max_size=32).map(lambda secret: "czo_" + base64url.encode(secret))
filler = st.text(alphabet="ab czo_\n\t\"'=:{}é🦊", max_size=400).map(lambda text: text.encode())


def search(
    data: bytes, token_finder: TokenFinder = PLAIN, *, chunk: int = 1 << 12, at_once: int = 1 << 20
) -> list[Hit]:
    stream = io.BytesIO(data)
    return list(
        Searcher(token_finder, chunk_bytes=chunk).search(lambda view: stream.readinto(view[:at_once]))
    )


def found(data: bytes, token_finder: TokenFinder = PLAIN) -> list[str]:
    return [hit.token for hit in search(data, token_finder)]


@given(
    st.lists(st.tuples(filler, keys), min_size=1, max_size=4),
    filler,
    st.integers(1, 200),
    st.integers(1, 300),
)
def test_planted_keys_are_found_where_they_lie(
    planted: list[tuple[bytes, str]], rest: bytes, chunk: int, at_once: int
) -> None:
    data, expected = b"", []
    for before, key in planted:
        data += before + b"\n"
        expected.append((key, data.count(b"\n") + 1, 2))
        data += b"'" + key.encode() + b"'"
    data += rest
    hits = search(data, chunk=chunk, at_once=at_once)
    assert [(hit.token, hit.line, hit.column) for hit in hits] == expected


def test_key_across_a_border_is_found_once() -> None:
    for offset in range(SMALL * 4 + AFTER + BEFORE):
        (hit,) = search(b" " * offset + KEY.encode() + b" " * 200, chunk=SMALL)
        assert (hit.token, hit.line, hit.column) == (KEY, 1, offset + 1)


@given(st.text(alphabet="AEIMQUYcgkosw048Bxyz_-09", min_size=38, max_size=46), filler, filler)
def test_text_that_is_not_a_token_is_not_found(secret: str, before: bytes, after: bytes) -> None:
    data = before + b" czo_" + secret.encode() + b" " + after
    expected = [f"czo_{secret}"] if tokens.is_well_formed(f"czo_{secret}", "czo_") else []
    assert found(data) == expected


NEAR_MISSES = {
    "a character short": KEY[:-2] + "A",
    "a character long": KEY + "A",
    "goes on": KEY + "-x",
    "unused bits are set": KEY[:-1] + "B",
    "a character that no token has": KEY[:20] + "+" + KEY[21:],
    "another prefix": "czp_" + KEY[4:],
    "capital prefix": "CZO_" + KEY[4:],
    "part of a longer word": "x" + KEY,
    "a session": "czs_" + KEY[4:],
    "an example": "czo_EXAMPLE" + KEY[11:],
    "a table of the product": "czo_auth_" + KEY[9:],
}


@pytest.mark.parametrize("what", list(NEAR_MISSES))
def test_near_miss_is_not_found(what: str) -> None:
    assert found(b"a " + NEAR_MISSES[what].encode() + b" b") == []


SURROUNDINGS = {
    "alone": (b"", b""),
    "assigned": (b"CZO_KEY=", b"\r\n"),
    "quoted": (b'{"key":"', b'"}'),
    "named": (b"prod_", b" "),
    "after a dash": (b"--key-", b","),
    "after an escaped line": (rb"line\n", rb"\nline"),
    "in an address": (b"https://x.example/?key%3D", b"%26a"),
    "escaped": (rb"\u003d", rb"\u0026"),
    "colored": (b"\x1b[1;31m", b"\x1b[0m"),
    "in markup": (b"<b>", b"</b>"),
    "after half a key": (b"czo_", b""),
}


@pytest.mark.parametrize("where", list(SURROUNDINGS))
def test_key_is_found_in_all_kinds_of_text(where: str) -> None:
    before, after = SURROUNDINGS[where]
    assert found(before + KEY.encode() + after) == [KEY]


def test_file_that_is_no_text_puts_fields_side_by_side() -> None:
    data = b"SQLite format 3\0" + b"robot" + KEY.encode() + b"Ada Lovelace"
    assert found(data) == [KEY]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_text_of_two_bytes_a_character_is_read(encoding: str) -> None:
    assert found(f"Write-Output\n  {KEY}\n".encode(encoding)) == [KEY]
    assert found(KEY.encode(encoding)) == [KEY]
    assert search((" " * 5000 + KEY).encode(encoding), chunk=SMALL)[0].token == KEY


def test_other_tokens_are_found_when_asked_for() -> None:
    every = {prefix: tokens.new_token(prefix) for prefix in (*tokens.RESERVED_PREFIXES, "czo_")}
    every["whsec_"] = webhook_signatures.secret_text(webhook_signatures.new_secret())
    data = "\n".join(every.values()).encode()
    assert found(data) == [every["czo_"]]
    assert sorted(found(data, ALL)) == sorted(every.values())
    assert {ALL.kind(token) for token in every.values()} == set(ALL.kinds.values())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_secret_of_a_webhook_is_found_and_reported_by_its_beginning(encoding: str) -> None:
    for _ in range(200):
        secret = webhook_signatures.secret_text(webhook_signatures.new_secret())
        assert found(f"SECRET = {secret}\n".encode(encoding), ALL) == [secret]
        assert found(f"SECRET = {secret[:-1]}\n".encode(encoding), ALL) == []
        assert tokens.masked(f"a/{secret}/b") == f"a/{secret[:8]}…/b"


def test_prefix_may_be_the_deployments_own() -> None:
    token = tokens.new_token("acme_")
    assert found(f"{KEY} {token}".encode(), TokenFinder("acme_")) == [token]
    assert found(f"{KEY} {token}".encode("utf-16"), TokenFinder("acme_")) == [token]


@given(st.sampled_from(sorted({*tokens.RESERVED_PREFIXES, "czo_"})), st.data())
def test_what_the_product_makes_is_what_is_found(prefix: str, data: st.DataObject) -> None:
    secret = data.draw(st.binary(min_size=32, max_size=32))
    token = prefix + base64url.encode(secret)
    assert tokens.is_well_formed(token, prefix)
    assert found(token.encode(), ALL) == [token]


def test_huge_line_and_the_lines_behind_it() -> None:
    data = b"x" * 3_000_000 + b" " + KEY.encode() + b"\n\n " + KEY.encode()
    first, second = search(data, chunk=1 << 16)
    assert (first.line, first.column) == (1, 3_000_002)
    assert (second.line, second.column) == (3, 2)


def test_hit_does_not_show_its_token() -> None:
    (hit,) = search(KEY.encode())
    assert re.search(re.escape(KEY), repr(hit)) is None
