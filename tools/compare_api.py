"""
Print how the OpenAPI document and the GraphQL schema differ between two revisions.

Each revision is checked out into a temporary folder and its code imported from there, with the packages of the
interpreter that runs this. Descriptions, the names of models and the order of fields do not count. A model that both
revisions have under one name is compared once, any other one where it is used. A difference is one line: ``+`` for
what was added, ``-`` for what is gone, ``~`` for a value that changed.

Without a revision, HEAD is compared with the revision in tools/compare_api.toml, and each difference must match a
pattern there, which says why it is right: the numbers for each reason are printed, and what none explains. The status
is 1 if something is unexplained or a pattern matches nothing; with revisions, it is 1 if they differ.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphql import parse, print_ast

ROOT = Path(__file__).resolve().parent.parent
EXPLAINED = Path(__file__).with_suffix(".toml")
PRINT_API = """
import base64, json, sys
from czo_auth import Auth, Settings
from czo_auth.graphql.schema import SCHEMA
from czo_auth.rest.app import rest_app
from czo_auth.version import VERSION
key = base64.b64encode(bytes(range(32))).decode()
auth = Auth(Settings(encryption_key=key, data_dir=sys.argv[1], api_docs=True, pages_enabled=True))
state = getattr(auth, "app_state", None) or getattr(auth, "do" + "or")
document = rest_app(state, version=VERSION).openapi()
print(json.dumps({"openapi": document, "graphql": SCHEMA.as_str()}))
"""
TEXTS = ("description", "title", "summary")
UNNAMED_STEPS = ("content", "application/json", "schema", "properties", "responses")
"""Steps of an OpenAPI document that a line leaves out: without them it still says which part is meant."""
REQUIRED = "is required"
MODELS = "#/components/schemas/"


def read_api(revision: str) -> dict[str, Any]:
    """Return the OpenAPI document and the GraphQL schema of *revision*."""
    with tempfile.TemporaryDirectory(prefix="compare-api-") as folder:
        archive = subprocess.run(
            ["git", "archive", revision, "src"], cwd=ROOT, check=True, capture_output=True
        ).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("CZO_AUTH_", "AUTH_"))
        }
        printed = subprocess.run(
            [sys.executable, "-c", PRINT_API, folder],
            cwd=folder,
            env=kept | {"PYTHONPATH": f"{folder}/src"},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
    found: dict[str, Any] = json.loads(printed)
    return found


def keyed(part: Any, shared: Collection[str]) -> dict[str, Any]:
    """
    Return one level of an OpenAPI document as a dict whose keys do not depend on an order.

    Args:
        shared: The names of models that both documents have.
    """
    return _keyed_list(part, shared) if isinstance(part, list) else _keyed_object(part, shared)


def _keyed_list(part: list[Any], shared: Collection[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for index, each in enumerate(part):
        name, held = each, {}
        if isinstance(each, dict):
            model = each.get("$ref", "").removeprefix(MODELS)
            name, held = model if model in shared else each.get("name", each.get("type", "object")), each
        result[f"#{index}" if str(name) in result else str(name)] = held
    return result


def _keyed_object(part: dict[str, Any], shared: Collection[str]) -> dict[str, Any]:
    result = {key: value for key, value in part.items() if key not in TEXTS or not isinstance(value, str)}
    choices = result.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        del result["anyOf"]
        others = [choice for choice in choices if choice != {"type": "null"}]
        only = _keyed_object(others[0], shared) if len(others) == 1 else {"anyOf": others}
        return result | only | {"nullable": True}
    fields = result.get("properties")
    if isinstance(fields, dict):
        needed = result.pop("required", [])
        result["properties"] = {name: {**field, REQUIRED: name in needed} for name, field in fields.items()}
    return result


@dataclass(frozen=True)
class Comparison:
    """Compares two OpenAPI documents."""

    old: dict[str, Any]
    new: dict[str, Any]

    @property
    def shared(self) -> set[str]:
        """The names of models that both documents have."""
        return _models(self.old).keys() & _models(self.new).keys()

    def lines(self) -> Iterator[str]:
        """Return every difference."""
        for name in sorted(self.shared):
            yield from self._between(_models(self.old)[name], _models(self.new)[name], f"model {name}", ())
        yield from self._between(_operations(self.old), _operations(self.new), "", ())
        ours, theirs = (
            {key: value for key, value in document.items() if key not in ("components", "paths")}
            | {"securitySchemes": document.get("components", {}).get("securitySchemes", {})}
            for document in (self.old, self.new)
        )
        yield from self._between(ours, theirs, "document", ())

    def _between(self, old: Any, new: Any, at: str, inside: tuple[tuple[Any, Any], ...]) -> Iterator[str]:
        if not isinstance(old, dict | list) or not isinstance(new, dict | list):
            if old != new:
                yield f"~ {at}: {_value(old)} → {_value(new)}"
            return
        were, are = keyed(old, self.shared), keyed(new, self.shared)
        names = (were.pop("$ref", None), are.pop("$ref", None))
        if names[0] != names[1]:
            if names in inside:
                return
            inside = (*inside, names)
            were, are = (
                self._resolved(names[0], were, self.old),
                self._resolved(names[1], are, self.new),
            )
        for key in sorted(were.keys() | are.keys()):
            step = at if key in UNNAMED_STEPS and key in were and key in are else f"{at} {key}".strip()
            if key not in were:
                yield f"+ {step}{_shown(are[key])}"
            elif key not in are:
                yield f"- {step}{_shown(were[key])}"
            else:
                yield from self._between(were[key], are[key], step, inside)

    def _resolved(self, name: str | None, beside: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
        if name is None:
            return beside
        target = keyed(_models(document)[name.removeprefix(MODELS)], self.shared)
        return self._resolved(target.pop("$ref", None), target | beside, document)


def _models(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document.get("components", {}).get("schemas", {})
    return found


def _operations(document: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


def _shown(part: Any) -> str:
    if isinstance(part, dict):
        return " (required)" if part.get(REQUIRED) is True else ""
    return "" if isinstance(part, list) else f": {_value(part)}"


def _value(part: Any) -> str:
    return json.dumps(part, ensure_ascii=False)


def graphql_lines(old: str, new: str) -> Iterator[str]:
    """Return every difference between two GraphQL schemas."""
    were, are = _graphql_facts(old), _graphql_facts(new)
    for fact in sorted(were.keys() | are.keys()):
        around = fact.rpartition(" ")[0]
        if fact not in were:
            if around not in are or around in were:
                yield f"+ graphql {fact}: {are[fact]}"
        elif fact not in are:
            if around not in were or around in are:
                yield f"- graphql {fact}: {were[fact]}"
        elif were[fact] != are[fact]:
            yield f"~ graphql {fact}: {were[fact]} → {are[fact]}"


def _graphql_facts(schema: str) -> dict[str, str]:
    """Return what each type, field and argument is."""
    facts = {}
    for defined in parse(schema, no_location=True).definitions:
        told = defined.to_dict()
        name = told["name"]["value"] if "name" in told else told["kind"]
        kind = told["kind"].removesuffix("_definition")
        facts[name] = " ".join(
            [kind, *(print_ast(each) for each in getattr(defined, "directives", None) or ())]
        )
        for member in (*(getattr(defined, "types", None) or ()), *(getattr(defined, "values", None) or ())):
            facts[f"{name} {member.name.value}"] = "member"
        for field in getattr(defined, "fields", None) or ():
            facts[f"{name} {field.name.value}"] = print_ast(field.type)
            for argument in getattr(field, "arguments", None) or ():
                facts[f"{name} {field.name.value} {argument.name.value}"] = print_ast(argument.type)
    return facts


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the differences between two APIs, as `read_api` returns them."""
    return [
        *Comparison(old["openapi"], new["openapi"]).lines(),
        *graphql_lines(old["graphql"], new["graphql"]),
    ]


def check(lines: list[str], groups: list[dict[str, Any]]) -> tuple[list[str], bool]:
    """
    Return the report on differences, and whether each is explained and each explanation is needed.

    Args:
        groups: Of the file of explanations: a ``source``, a ``reason``, and patterns in which ``*`` is any text.
    """
    report, left, unused = [], set(lines), []
    for group in groups:
        found: set[str] = set()
        for pattern in group["differences"]:
            wanted = re.compile(".*".join(map(re.escape, pattern.split("*"))))
            matches = {line for line in lines if wanted.fullmatch(line)}
            found |= matches
            if not matches:
                unused.append(pattern)
        left -= found
        report.append(f"{len(found):4} {group['source']}: {group['reason']}")
    signs = ", ".join(
        f"{sum(line.startswith(sign) for line in lines)} {word}"
        for sign, word in (("+", "added"), ("-", "gone"), ("~", "changed"))
    )
    report.append(f"{len(lines):4} differences in all: {signs}; {len(left)} unexplained")
    report += [f"unexplained: {line}" for line in lines if line in left]
    report += [f"matches nothing: {pattern}" for pattern in unused]
    return report, not left and not unused


def main(before: str | None, after: str, *, every: bool) -> int:
    """Print the differences, or whether they are explained; the result is 1 as the module says."""
    explained = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))
    lines = differences(read_api(before or explained["before"]), read_api(after))
    if before is not None or every:
        print("\n".join(lines) or "no difference")
    if before is not None:
        return int(bool(lines))
    report, is_right = check(lines, explained["explained"])
    print("\n".join(report))
    return int(not is_right)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python tools/compare_api.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("before", metavar="BEFORE", nargs="?", help="a revision of this repository")
    parser.add_argument("after", metavar="AFTER", nargs="?", default="HEAD", help="another one; default HEAD")
    parser.add_argument("--every", action="store_true", help="print every difference, also explained ones")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = _arguments()
    sys.exit(main(arguments.before, arguments.after, every=arguments.every))
