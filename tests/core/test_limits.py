"""Every bound is defined once, in `core/limits.py`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import czo_auth
from czo_auth.core import limits

SOURCE: Final = Path(czo_auth.__file__).parent
BOUND: Final = re.compile(r"(MAX|MIN)_[A-Z_]+")
"""Names of bounds; a private `_MAX_…` is the size of something inside its module that no caller meets."""

ARGUMENTS: Final = {"max_length", "max_items", "le", "lt"}
ELSEWHERE: Final = {"crypto", "settings"}
"""`crypto` lies below `core` and bounds its own formats; a setting is declared together with its range."""

FIELDS: Final = {
    "name": limits.MAX_NAME,
    "key_name": limits.MAX_NAME,
    "organization_name": limits.MAX_NAME,
    "slug": limits.MAX_SLUG,
    "reason": limits.MAX_REASON,
    "reset_reason": limits.MAX_REASON,
    "delete_reason": limits.MAX_REASON,
    "description": limits.MAX_DESCRIPTION,
    "email": limits.MAX_CANONICAL_EMAIL_BYTES,
    "search": limits.MAX_SEARCH,
    "url": limits.MAX_WEBHOOK_URL,
    "passkey_name": limits.MAX_PASSKEY_NAME,
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        relative = path.relative_to(SOURCE)
        if relative.parts[0] not in ELSEWHERE and relative.as_posix() != "core/limits.py":
            yield relative.as_posix(), ast.parse(path.read_text("utf-8"))


def has_number(node: ast.expr | None) -> bool:
    return node is not None and any(
        isinstance(part, ast.Constant) and type(part.value) in {int, float} and part.value > 1
        for part in ast.walk(node)
    )


def defined_bounds(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        if isinstance(node, ast.Assign):
            names, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign):
            names, value = [node.target], node.value
        else:
            continue
        for name in names:
            if isinstance(name, ast.Name) and BOUND.fullmatch(name.id) and has_number(value):
                yield f"{name.id} (line {node.lineno})"


def literal_arguments(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            for argument in node.keywords:
                if argument.arg in ARGUMENTS and isinstance(argument.value, ast.Constant | ast.BinOp):
                    names = [
                        part
                        for part in ast.walk(argument.value)
                        if isinstance(part, ast.Name | ast.Attribute)
                    ]
                    if has_number(argument.value) and not names:
                        yield f"{argument.arg}={ast.unparse(argument.value)} (line {node.lineno})"


def test_no_other_module_defines_a_bound():
    found = {path: [*defined_bounds(module)] for path, module in modules()}
    assert {path: names for path, names in found.items() if names} == {}


def test_models_take_their_bounds_from_there():
    found = {path: [*literal_arguments(module)] for path, module in modules()}
    assert {path: names for path, names in found.items() if names} == {}


def test_forms_of_the_pages_have_the_same_bounds():
    wrong = []
    seen = set()
    for template in sorted((SOURCE / "web" / "templates").glob("*.html")):
        for line in template.read_text("utf-8").splitlines():
            field = re.search(r'(?:parts\.field\(|name=)"(\w+)".*maxlength(?:": |=)"(\d+)"', line)
            if field is not None and field[1] in FIELDS and "passkey" not in template.name:
                seen.add(field[1])
                if int(field[2]) != FIELDS[field[1]]:
                    wrong.append((template.name, field[1], field[2]))
    assert wrong == []
    assert len(seen) > 5
