"""
Accents with enough contrast, derived from one color.

Source: WCAG 2.2, success criterion 1.4.3 and the definitions of contrast ratio and relative luminance.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

CONTRAST: Final = 4.5
"""What text needs against its background (WCAG 2.2 AA)."""
# The pages' own colors that an accent meets; they are those of style.css.
LIGHT_PAGE, LIGHT_INK = "#f4f5f8", "#1a1d24"
DARK_PAGE, DARK_CARD, DARK_INK = "#12141a", "#1b1e27", "#e9ebf1"
WHITE, BLACK = "#ffffff", "#000000"

_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
_STEPS: Final = 100


def is_color(text: str) -> bool:
    """Whether *text* is a color as ``#rrggbb``."""
    return _COLOR.fullmatch(text) is not None


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colors, from 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accent:
    """
    One color, as a page can use it.

    Attributes:
        color: For buttons, links and marks.
        ink: For text on *color*.
        soft: A background in that hue, on which *color* and the page's text can be read.
    """

    color: str
    ink: str
    soft: str

    @classmethod
    def light(cls, color: str) -> Accent:
        """Derive the accent for light pages: *color*, darkened until it can be read there."""
        fit = _until(color, BLACK, lambda tried: _reads(tried, LIGHT_PAGE) and _reads(tried, WHITE))
        soft = _until(
            _mixed(fit, WHITE, 0.88), WHITE, lambda tried: _reads(fit, tried) and _reads(LIGHT_INK, tried)
        )
        return cls(color=fit, ink=WHITE, soft=soft)

    @classmethod
    def dark(cls, color: str) -> Accent:
        """Derive the accent for dark pages: *color*, lightened until it can be read there."""
        fit = _until(color, WHITE, lambda tried: _reads(tried, DARK_PAGE) and _reads(tried, DARK_CARD))
        soft = _until(
            _mixed(fit, DARK_CARD, 0.82),
            BLACK,
            lambda tried: _reads(fit, tried) and _reads(DARK_INK, tried),
        )
        return cls(
            color=fit, ink=_until(_mixed(fit, BLACK, 0.85), BLACK, lambda ink: _reads(ink, fit)), soft=soft
        )


def stylesheet(color: str) -> str:
    """Write the style sheet that gives the pages the accent *color*, light and dark."""
    light, dark = Accent.light(color), Accent.dark(color)
    return (
        f":root {{ {_variables(light)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(dark)} }} }}\n"
        # Lighter under the pointer, white text on a light page's accent could be read less well.
        "@media (prefers-color-scheme: light) { :is(button, .button):not(.quiet, .danger):hover "
        "{ filter: brightness(.92); } }\n"
    )


def _variables(accent: Accent) -> str:
    return f"--main: {accent.color}; --main-ink: {accent.ink}; --main-soft: {accent.soft};"


def _reads(one: str, other: str) -> bool:
    return contrast(one, other) >= CONTRAST


def _until(color: str, towards: str, fits: Callable[[str], bool]) -> str:
    """Mix *color* with *towards* in small steps, and return the first that *fits*."""
    for step in range(_STEPS):
        tried = _mixed(color, towards, step / _STEPS)
        if fits(tried):
            return tried
    return towards


def _mixed(color: str, other: str, part: float) -> str:
    pairs = zip(_channels(color), _channels(other), strict=True)
    return "#" + "".join(f"{round(one + (two - one) * part):02x}" for one, two in pairs)


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _luminance(color: str) -> float:
    red, green, blue = (_linear(channel / 255) for channel in _channels(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)
