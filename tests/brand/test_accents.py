"""Whatever color a company has, text can be read on it and it can be read on the page (WCAG 2.2 AA)."""

from __future__ import annotations

import itertools
import re
from importlib.resources import files

import pytest

from czo_auth.brand.colors import (
    DARK_CARD,
    DARK_INK,
    DARK_PAGE,
    LIGHT_INK,
    LIGHT_PAGE,
    Accent,
    contrast,
    is_color,
    stylesheet,
)

COLORS = [
    "#{:02x}{:02x}{:02x}".format(*color) for color in itertools.product(range(0, 256, 51), repeat=3)
] + [
    "#ffff00",
    "#00ff00",
    "#7f7f7f",
    "#808080",
    "#2457c5",
    "#010101",
    "#fefefe",
    "#ff69b4",
]


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)
    assert contrast("#2457c5", "#2457c5") == 1


def test_derived_accents_can_be_read() -> None:
    for color in COLORS:
        light, dark = Accent.light(color), Accent.dark(color)
        for accent, grounds, ink in (
            (light, (LIGHT_PAGE, "#ffffff"), LIGHT_INK),
            (dark, (DARK_PAGE, DARK_CARD), DARK_INK),
        ):
            assert contrast(accent.ink, accent.color) >= 4.5, color
            assert contrast(ink, accent.soft) >= 4.5, color
            for ground in (*grounds, accent.soft):
                assert contrast(accent.color, ground) >= 4.5, (color, accent, ground)


def test_a_color_that_can_be_read_stays_as_it_is() -> None:
    assert Accent.light("#2457c5").color == "#2457c5"
    assert Accent.dark("#8fb1ff").color == "#8fb1ff"


def test_the_pages_own_colors_are_those_that_accents_are_derived_for() -> None:
    text = files("czo_auth.web").joinpath("static", "style.css").read_text("utf-8")
    light, dark = re.findall(r"--page: (#\w+); --card: (#\w+); --ink: (#\w+);", text)[:2]
    assert light == (LIGHT_PAGE, "#fff", LIGHT_INK)
    assert dark == (DARK_PAGE, DARK_CARD, DARK_INK)


def test_the_style_sheet_sets_both_schemes() -> None:
    written = stylesheet("#ff6600")
    assert written.count("--main:") == 2
    assert "prefers-color-scheme: dark" in written
    # Darker, not lighter: white text on it stays readable.
    assert "brightness(.92)" in written


@pytest.mark.parametrize("text", ["", "red", "#fff", "#12345", "#gggggg", "#123456;", "#123456\n", "url(x)"])
def test_other_notations_are_no_colors(text: str) -> None:
    assert not is_color(text)
