"""What browsers would silently mend in our templates."""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.resources.abc import Traversable

import pytest

TEMPLATES = sorted(
    (each for each in files("czo_auth.web").joinpath("templates").iterdir() if each.name.endswith(".html")),
    key=lambda each: each.name,
)
PARAGRAPH = re.compile(r"<p(?: [^>]*)?>(.*?)</p>", re.DOTALL)
BLOCKS = re.compile(
    r"parts\.(?:act|sure|passkey_form|field|check)\(|<(?:form|div|details|ul|ol|dl|section|table)\b"
)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_no_paragraph_holds_a_form_or_a_block(template: Traversable) -> None:
    """A browser ends the paragraph before it, and the layout of the paragraph with it."""
    text = template.read_text("utf-8")
    assert [found[0] for found in PARAGRAPH.finditer(text) if BLOCKS.search(found[1])] == []
