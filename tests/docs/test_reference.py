"""The reference pages are what the code says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tools import write_reference

ROOT = Path(__file__).parents[2]


def test_reference_pages_are_written_from_the_code_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["write_reference.py", "--check"])
    write_reference.main()


def test_symbols_named_in_the_flows_exist() -> None:
    words = {
        word
        for path in (ROOT / "src").rglob("*.py")
        for word in re.findall(r"[A-Za-z_]\w*", path.read_text("utf-8"))
    }
    for page in (ROOT / "docs" / "flows").glob("*.md"):
        for symbol in re.findall(r"`(?:[a-z_]+\.)*([A-Za-z_]+)`", page.read_text("utf-8")):
            assert symbol in words, f"{page.name} names {symbol}"
