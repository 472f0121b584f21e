"""What better-auth sealed opens here, and nothing else does."""

from __future__ import annotations

import pytest

from czo_auth.importers.xchacha import CannotOpen, hchacha20, open_sealed
from tests.importers.sources import KEPT, SECRET

SQL = (KEPT / "better-auth.sql").read_text("utf-8")
SEALED = SQL.partition('INSERT INTO "twoFactor" VALUES(')[2].split("'")[3]


def test_hchacha20_gives_the_key_of_the_draft() -> None:
    key = bytes(range(32))
    nonce = bytes.fromhex("000000090000004a0000000031415927")
    expected = "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    assert hchacha20(key, nonce).hex() == expected


def test_secret_of_a_real_database_opens() -> None:
    assert len(open_sealed(SEALED, {"": SECRET})) == 32
    assert open_sealed(f"$ba$2${SEALED}", {"2": SECRET, "": "the one before"})


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        (SEALED, {"": "another"}),
        (SEALED, {}),
        (f"$ba$3${SEALED}", {"2": SECRET, "": SECRET}),
        (SEALED[:-2] + ("00" if SEALED[-2:] != "00" else "01"), {"": SECRET}),
        (SEALED[:30], {"": SECRET}),
        ("no hexadecimal", {"": SECRET}),
        ("", {"": SECRET}),
    ],
)
def test_what_does_not_open_says_so(text: str, secrets: dict[str, str]) -> None:
    with pytest.raises(CannotOpen):
        open_sealed(text, secrets)
