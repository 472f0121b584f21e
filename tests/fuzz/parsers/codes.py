"""What people type: six digits, backup codes, addresses, times; and what is written of it."""

from __future__ import annotations

import base64
import re
import unicodedata
from datetime import UTC, datetime, timedelta

import pyotp

from czo_auth.asgi.timestamps import parse_timestamp
from czo_auth.core.errors import ValidationFailed
from czo_auth.core.text import escape_control
from czo_auth.core.users.email import canonical_email
from czo_auth.crypto import codes, tokens, totp
from tests.fuzz.parsers.target import Target, lenient_text_of

NOW = datetime(2026, 1, 31, 12, 0, 10, tzinfo=UTC)
SECRET = b"12345678901234567890"
_STEP = int(NOW.timestamp()) // 30
_PHONE = pyotp.TOTP(base64.b32encode(SECRET).decode())
_AT = {step: _PHONE.generate_otp(step) for step in range(_STEP - 4, _STEP + 5)}


def totp_code(data: bytes) -> bool:
    """Hold the check against pyotp, for every drift and last step; a step's code with any ornament is that step's."""
    drift, after = (data[0] % 3, _STEP + data[1] % 7 - 3) if len(data) >= 2 else (1, _STEP - 9)
    text = lenient_text_of(data[2:])
    for step, code in _AT.items():
        text = text.replace(f"<{step - _STEP}>", code)
    typed = totp.normalize(text)
    assert totp.normalize(typed) == typed
    expected = [
        step for step in sorted(_AT) if abs(step - _STEP) <= drift and step > after and _AT[step] == typed
    ]
    found = totp.matching_step(SECRET, typed, now=NOW, drift=drift, after=after)
    assert found == (expected[0] if expected else None), data
    return found is not None


CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LIKE = {"I": "1", "L": "1", "O": "0"}


def backup_code(data: bytes) -> bool:
    """Hold the reader against the sentences of S5, spelled out; the canonical text is read as itself."""
    text = lenient_text_of(data)
    found = codes.parse(text)
    bare = [_LIKE.get(one.upper(), one.upper()) for one in text if one not in " -"]
    good = len(text) <= 64 and text.isascii() and len(bare) == 18 and all(one in CROCKFORD for one in bare)
    assert (found is not None) == good, data
    if found is None:
        return False
    assert found.selector + found.secret == "".join(bare)
    assert codes.parse(found.text) == found
    assert found.secret not in repr(found)
    return True


def email(data: bytes) -> bool:
    """An address has one form: the canonical one is canonical, in whatever normal form or ASCII case it was typed."""
    text = lenient_text_of(data)
    try:
        canonical = canonical_email(text)
    except ValidationFailed as refusal:
        assert len(text) < 4 or text not in str(refusal.details)
        return False
    assert canonical_email(canonical) == canonical, data
    assert len(canonical.encode()) <= 254
    assert re.search(r"[\s\x00-\x1f\x7f<>,;:\"()]", canonical) is None
    local, _, domain = canonical.rpartition("@")
    assert local
    assert re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", domain), data
    for form in ("NFC", "NFD"):
        assert canonical_email(unicodedata.normalize(form, text)) == canonical, (form, data)
    if text.isascii():
        assert canonical_email(f" {text.upper()}\t") == canonical
    return True


def moment(data: bytes) -> bool:
    """A time that is accepted says the same when the answer's spelling of it is sent again."""
    text = lenient_text_of(data)
    try:
        found = parse_timestamp(text)
    except ValueError:
        return False
    assert found.utcoffset() == timedelta(0)
    spelled = found.strftime("%Y-%m-%dT%H:%M:%S.") + f"{found.microsecond // 1000:03d}Z"
    assert parse_timestamp(spelled.rjust(24, "0")) == found
    digits = re.findall(r"[0-9]+", text)
    assert text.isascii()
    assert 6 <= len(digits) <= 9
    return True


_TOKEN = re.compile(r"cz[osrcimd]_[A-Za-z0-9_-]{43}")


def written(data: bytes) -> bool:
    """What goes into logs has no control character and no token, and doing it twice changes nothing."""
    text = lenient_text_of(data)
    masked = tokens.masked(text)
    assert _TOKEN.search(masked) is None, data
    assert tokens.masked(masked) == masked
    escaped = escape_control(text, limit=256)
    assert len(escaped) <= 256
    assert not any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in escaped), data
    escaped.encode("utf-8")
    return masked != text


_CODE = b"7QK2-9M4TX-3HZ8B-6WVN"
_KEY = b"czo_" + b"A" * 43
TARGETS = {
    "TOTP code": Target(
        check=totp_code,
        seeds=(
            b"\x01\x00<0>",
            b"\x02\x06<1>",
            b"\x01\x00<-1> ",
            b"\x01\x00<0>\n",
            "\x01\x00١٢٣٤٥٦".encode(),
            b"\x01\x00 <0>-",
            b"",
        ),
        words=tuple(f"<{steps}>".encode() for steps in range(-4, 5)),
    ),
    "backup code": Target(
        check=backup_code,
        seeds=(
            _CODE,
            _CODE.lower(),
            _CODE + b"\n",
            b"oil1" + _CODE[4:],
            "７QK2".encode() + _CODE[4:],
            _CODE + b" " * 50,
            "ſ".encode() + _CODE[1:],
        ),
        words=(_CODE, b"-", b" ", "ı".encode()),
    ),
    "email": Target(
        check=email,
        seeds=(
            b"Ada@Example.COM",
            b"a@b",
            b" a.b+c@xn--bcher-kva.example. ",
            "bücher@bücher.example".encode(),
            "straße@straße.example".encode(),
            "ΐ@example.com".encode(),
            "\u1fb3\u0301@example.com".encode(),
            "\u0345a@example.com".encode(),
            "İ@example.com".encode(),
            "a@example。com".encode(),
            "a@１２３.com".encode(),
            b"a@[127.0.0.1]",
            b"a@-b.com",
            b"a..b@c.com",
            b"a@b@c.com",
            ("a" * 64 + "@" + "b" * 63 + ".com").encode(),
        ),
        words=(
            b"@",
            b".",
            b"xn--",
            "ß".encode(),
            "\u0345".encode(),
            "\u0307".encode(),
            "ſ".encode(),
            "\u200d".encode(),
        ),
        share=0.7,
    ),
    "moment": Target(
        check=moment,
        seeds=(
            b"2026-01-31T12:00:00.000Z",
            b"2026-01-31T12:00:00.999999999+14:00",
            b"0001-01-01T00:00:00+23:59",
            b"9999-12-31T23:59:59-23:59",
            b"2026-02-30T00:00:00Z",
            b"2026-01-31T24:00:00Z",
            b"2026-01-31T12:00:60Z",
            b"2026-01-31T12:00:00+24:00",
            "٢026-01-31T12:00:00Z".encode(),
        ),
        words=(b"Z", b"T24:00:00", b"+99:99", b"0000-", b"9999-"),
    ),
    "what is written": Target(
        check=written,
        seeds=(
            _KEY,
            b"key=" + _KEY + b"&" + _KEY,
            b"a\x00\n\x1b[31m\x85",
            b"\xe2\x80\xa8",
            b"czo_czo_" + b"A" * 43,
            b"\xed\xa0\x80",
        ),
        words=(_KEY, b"czs_", b"czo_", b"\\", b"\xe2\x80\xae", b"\xc2\x9b"),
    ),
}
