"""
Print how the OpenAPI document and the GraphQL schema differ between two revisions.

Each revision is checked out into a temporary folder and its code imported from there, with the packages of the
interpreter that runs this. Descriptions and the names of models do not count: references are replaced by what they
refer to. The names of models that were removed and added are printed first. The status is 1 if the revisions differ.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
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


def model_names(document: dict[str, Any]) -> set[str]:
    """Return the names of the models in an OpenAPI document."""
    return set(document.get("components", {}).get("schemas", {}))


def resolved(part: Any, document: dict[str, Any], inside: tuple[str, ...] = ()) -> Any:
    """Return *part* with references replaced, and without descriptions and titles."""
    if isinstance(part, list):
        return [resolved(each, document, inside) for each in part]
    if not isinstance(part, dict):
        return part
    reference = part.get("$ref")
    if isinstance(reference, str):
        if reference in inside:
            return {"$ref": "recursive"}
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        return resolved(target, document, (*inside, reference))
    return {
        # The order in which names of fields are listed says nothing.
        name: sorted(value)
        if name == "required" and isinstance(value, list)
        else resolved(value, document, inside)
        for name, value in part.items()
        if name not in ("description", "title", "summary") or not isinstance(value, str)
    }


def openapi_parts(document: dict[str, Any]) -> dict[str, list[str]]:
    """Return each operation of an OpenAPI document, and the rest of it, as lines without names of models."""
    rest = {name: value for name, value in document.items() if name not in ("paths", "components")}
    parts = {"openapi": rest}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts[f"openapi {method.upper()} {path}"] = resolved(operation, document)
    return {name: json.dumps(part, indent=1, sort_keys=True).splitlines() for name, part in parts.items()}


def graphql_parts(schema: str) -> dict[str, list[str]]:
    """Return a GraphQL schema as lines without its descriptions."""
    lines, in_description = [], False
    for line in schema.splitlines():
        marks = line.count('"""')
        if marks == 1:
            in_description = not in_description
        elif marks == 0 and not in_description and line.strip():
            lines.append(line)
    return {"graphql": lines}


def main(before: str, after: str) -> int:
    """Print the difference; the result is 1 when there is one."""
    old, new = read_api(before), read_api(after)
    gone, come = (
        sorted(model_names(a["openapi"]) - model_names(b["openapi"])) for a, b in ((old, new), (new, old))
    )
    print(f"removed models of OpenAPI: {', '.join(gone) or 'none'}")
    print(f"added models of OpenAPI: {', '.join(come) or 'none'}")
    differs = False
    for api, read in (("openapi", openapi_parts), ("graphql", graphql_parts)):
        were, are = read(old[api]), read(new[api])
        # One operation at a time: the time that a comparison takes grows with the square of what is compared.
        changed = [name for name in sorted(were.keys() | are.keys()) if were.get(name) != are.get(name)]
        for name in changed:
            lines = difflib.unified_diff(
                were.get(name, []), are.get(name, []), f"{name} {before}", f"{name} {after}", lineterm="", n=3
            )
            print("\n".join(lines))
        differs |= bool(changed)
        if not changed:
            print(f"{api}: no difference")
    return int(differs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python tools/compare_api.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("before", metavar="BEFORE", help="a revision of this repository")
    parser.add_argument("after", metavar="AFTER", nargs="?", default="HEAD", help="another one; default HEAD")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = _arguments()
    sys.exit(main(arguments.before, arguments.after))
