"""The pages that walk through the code name classes, functions and modules that are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

import czo_auth

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = Path(czo_auth.__file__).parent
PAGES: Final = sorted([*(ROOT / "docs/flows").glob("*.md"), *(ROOT / "docs/decisions").glob("*.md")])
DEFINITIONS: Final = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@cache
def defined() -> set[str]:
    """Return ``name``, ``Class.member`` and ``module.name`` of everything that the package defines, parsed once."""
    names = set()
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, DEFINITIONS):
                names |= {node.name, ".".join([*parts, node.name])}
            if isinstance(node, ast.ClassDef):
                names |= {
                    f"{node.name}.{member.name}"
                    for member in ast.walk(node)
                    if isinstance(member, DEFINITIONS)
                }
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_code_exists(page: Path):
    named = re.findall(
        r"`([A-Z]\w+\.\w+|(?:asgi|core|crypto|rest|storage|web)\.[\w.]+|_(?!_)[a-z_]+)(?:\([^`]*\))?`",
        page.read_text("utf-8"),
    )
    assert [name for name in named if name not in defined()] == []
