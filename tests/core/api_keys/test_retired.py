"""Keys of another system's form: told apart by the prefix alone, exact in length, and over on a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from czo_auth import Settings
from czo_auth.core.api_keys.key import ApiKeyPolicy
from czo_auth.core.api_keys.retired import RetiredKeyFormat
from czo_auth.core.credentials import kind_of

FORM = RetiredKeyFormat.parse("shop_:69:2027-06-30")
BEFORE = datetime(2027, 6, 29, 23, 59, tzinfo=UTC)
KEY = "shop_" + "a" * 64


def test_form_is_read_from_its_text() -> None:
    assert (FORM.prefix, FORM.length, FORM.ends_at) == ("shop_", 69, datetime(2027, 6, 30, tzinfo=UTC))


@pytest.mark.parametrize("length", [5 + 22, 256])
def test_shortest_secret_and_longest_key_are_accepted(length: int) -> None:
    assert RetiredKeyFormat.parse(f"shop_:{length}:2027-06-30").length == length


@pytest.mark.parametrize(
    "text",
    [
        "shop_:257:2027-06-30",
        "ab_:69:2027-06-30",  # a prefix of two characters
        "shop:69:2027-06-30",  # no separator
        "shop_:26:2027-06-30",  # a secret that can be guessed
        "shop_:9999:2027-06-30",
        "shop_:６９:2027-06-30",
        "shop_:69:tomorrow",
        "shop_:69",
        "",
    ],
)
def test_format_that_is_ambiguous_or_too_weak_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        RetiredKeyFormat.parse(text)


def test_key_has_the_exact_length_and_alphabet_and_ends_with_its_form() -> None:
    assert FORM.accepts(KEY, now=BEFORE)
    assert not FORM.accepts(KEY, now=BEFORE + timedelta(minutes=1))
    for other in (KEY + "a", KEY[:-1], KEY[:-1] + "é", KEY[:-1] + "\n", "Shop_" + "a" * 64):
        assert not FORM.accepts(other, now=BEFORE)


def test_dispatch_looks_at_every_prefix_and_falls_through_to_nothing() -> None:
    prefixes = ApiKeyPolicy(retired=(FORM,)).prefixes
    assert kind_of("shop_x", api_key_prefix=prefixes) == "api_key"
    assert kind_of("shop_a.b.c", api_key_prefix=prefixes) == "api_key"
    assert kind_of("czo_x", api_key_prefix=prefixes) == "api_key"
    assert kind_of("shop", api_key_prefix=prefixes) == "unknown"


@pytest.mark.parametrize("prefix", ["czo_", "czs_", "czo_old_", "shop_new_", "eyJ_"])
def test_form_of_a_prefix_that_is_taken_stops_the_start(prefix: str, tmp_path: Path) -> None:
    forms = ("shop_:69:2027-06-30", f"{prefix}:90:2027-06-30")
    with pytest.raises(ValidationError):
        Settings(data_dir=tmp_path, retired_key_formats=forms)


def test_forms_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CZO_AUTH_RETIRED_KEY_FORMATS", "shop_:69:2027-06-30, app-:64:2027-01-01")
    settings = Settings(data_dir=tmp_path)
    assert settings.key_prefixes == ("czo_", "shop_", "app-")
    assert settings.policies().api_keys.accepts(KEY, now=BEFORE)
