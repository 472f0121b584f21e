"""The catalogs, and how one is chosen."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files

import pytest

from czo_auth.core import errors, mail  # noqa: F401 - mail adds refusals of its own
from czo_auth.core.browsers import browser_name
from czo_auth.core.errors import Refusal
from czo_auth.core.events import types
from czo_auth.translations import shipped
from czo_auth.web.addresses import is_own_page

TEMPLATES = {
    each.name: each.read_text("utf-8")
    for each in files("czo_auth.web").joinpath("templates").iterdir()
    if each.name.endswith(".html")
}


def _kinds(of: type[Refusal]) -> Iterator[type[Refusal]]:
    for kind in of.__subclasses__():
        yield kind
        yield from _kinds(kind)


def test_all_catalogs_have_the_same_keys_and_values_to_put_in() -> None:
    first = shipped()["en"].entries
    assert set(shipped().languages) == {"de", "en", "fr"}
    for language in shipped().languages[1:]:
        other = shipped()[language].entries
        assert set(other) == set(first), language
        for key, text in first.items():
            assert set(re.findall(r"\{\w+\}", other[key])) == set(re.findall(r"\{\w+\}", text)), key
            assert other[key].strip()


def test_every_refusal_has_words() -> None:
    translations = shipped()["en"]
    codes = {kind.code for kind in _kinds(Refusal)} - {Refusal.code}
    assert not [code for code in codes if f"error.{code}" not in translations.entries]


def test_every_recorded_action_has_words() -> None:
    actions = {text for text in vars(types).values() if isinstance(text, str) and text.startswith("auth.")}
    assert len(actions) > 60
    for action in actions:
        assert f"activity.{action.removeprefix('auth.').replace('.', '_')}" in shipped()["en"].entries, action


def test_every_word_of_a_template_is_in_the_catalog() -> None:
    translations = shipped()["en"]
    for name, text in TEMPLATES.items():
        for key in re.findall(r"\bt(?:\.counted)?\(\"([a-z_.0-9]+)\"[,)]", text):
            assert key in translations.entries, (name, key)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("en-GB,fr;q=0.9", "en"),
        ("de-AT,fr;q=0.3,en;q=0.7", "de"),
        ("it,fr;q=0.3,en;q=0.7", "en"),
        ("it, *;q=0.1", "en"),
        ("fr;q=0", "en"),
        ("\x00;;;q=,,fr;q=2", "en"),
        ("x" * 100_000, "en"),
    ],
)
def test_the_language_is_the_browsers_first_that_there_is(header: str, language: str) -> None:
    assert shipped().best(header).language == language


@pytest.mark.parametrize(
    "address", ["/", "/security", "/accept-invitation?token=czi_a-b", "/api-keys/0195e0f0-00"]
)
def test_own_pages_are_gone_on_to(address: str) -> None:
    assert is_own_page(address)


@pytest.mark.parametrize(
    "address", ["", "//x", "/\\x", "x", "/a//b", "/a\n", "/../x", "/%2f", "/a?b#c", "/a" * 400]
)
def test_other_addresses_are_not(address: str) -> None:
    assert not is_own_page(address)


def test_the_vendored_script_is_the_one_that_was_noted() -> None:
    folder = files("czo_auth.web").joinpath("static")
    digest = hashlib.sha256(folder.joinpath("htmx.min.js").read_bytes()).hexdigest()
    assert digest in folder.joinpath("README.md").read_text("utf-8")


def test_browsers_are_summed_up() -> None:
    chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36"
    assert browser_name(chrome) == "Chrome · Linux"
    assert browser_name("something else entirely") == "something else entirely"
    assert browser_name(None) == ""


def test_french_punctuation_is_never_left_alone_on_a_line() -> None:
    """Before ``: ; ? ! »`` and after ``«`` stands a space that does not break."""
    for key, text in shipped()["fr"].entries.items():
        assert not re.search(r"[ \u202f][:;?!»]|«[ \u202f]|[^\s\u00a0][;?!»](?!\w)|«(?!\u00a0)", text), key


def test_templates_leave_the_punctuation_to_the_texts() -> None:
    """French has a space before a colon."""
    for name, text in TEMPLATES.items():
        assert not re.search(r"\bt\([^{}]*\) *}}[:;?!]", text), name
