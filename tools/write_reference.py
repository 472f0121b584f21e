"""Writes the reference pages of docs/ from the code; with --check it only says which are out of date."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from czo_auth.asgi.problems import STATUS, status_of
from czo_auth.core import errors
from czo_auth.core.errors import Refusal
from czo_auth.core.events import types
from czo_auth.rest.better_auth import errors as client_errors
from czo_auth.settings import Settings

DOCS = Path(__file__).parent.parent / "docs"


def settings_page() -> str:
    """Tell every setting, its variable, its default and what it does."""
    rows = []
    for name, field in Settings.model_fields.items():
        from_code = "From code only." in (field.description or "")
        variable = "AUTH_ENCRYPTION_KEY" if name == "encryption_key" else f"CZO_AUTH_{name.upper()}"
        default = "—" if from_code else _default(field.default)
        description = (field.description or "").replace("\n", " ")
        names = f"`{name}`" if from_code else f"`{name}`<br>`{variable}`"
        rows.append(f"| {names} | {default} | {description} |")
    head = "# Settings\n\nEach is an argument of `Settings` and, where a variable is named below it, read "
    head += "from the environment; arguments win. Lists are comma-separated in the environment.\n\n"
    return head + "| setting | default | meaning |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"


def _default(value: Any) -> str:
    if value is None or value == ():
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def errors_page() -> str:
    """Tell every code with its number and sentence."""
    kinds: list[type[Refusal]] = [
        kind
        for module in (errors, client_errors)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Refusal) and "code" in vars(kind) and kind is not Refusal
    ]
    found = {(status_of(kind()), kind.code, kind.message) for kind in kinds}
    rows = [f"| {status} | `{code}` | {message} |" for status, code, message in sorted(found)]
    head = '# Error codes\n\nEvery refusal is `{"code", "message", "status"}`, '
    head += "with `details` on `VALIDATION_ERROR` "
    head += "and `retryAfter` (seconds, also as `Retry-After`) where trying again makes sense. "
    head += (
        f"The kinds and their numbers: {', '.join(f'{kind.__name__} {n}' for kind, n in STATUS.items())}.\n\n"
    )
    return head + "| status | code | message |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"


def events_page() -> str:
    """Tell every event type, and every other action of the audit log."""
    rows = [f"| `{name}` | {meaning} |" for name, meaning in sorted(types.EVENT_MEANINGS.items())]
    audited = [f"| `{name}` | {meaning} |" for name, meaning in sorted(types.AUDIT_MEANINGS.items())]
    head = "# Events\n\nWritten in the transaction of the change, delivered at least once as CloudEvents 1.0 JSON, "
    head += "in order per user. `data` holds `userId` and public facts; never a secret. "
    head += "Receivers drop doubles by `id`.\n\n"
    table = "| type | meaning |\n| --- | --- |\n"
    more = "\n## Actions of the audit log\n\nThe audit log holds every event above, and these actions, which are not "
    more += "delivered.\n\n"
    return head + table + "\n".join(rows) + "\n" + more + table + "\n".join(audited) + "\n"


def doctor_page() -> str:
    """Tell every check of the check-up, why it matters, and which requirements it speaks to."""
    from czo_auth.doctor.examination import CHECKS

    rows = [
        f"| `{check.id}` | {check.meaning} | {', '.join(f'V{each}' for each in check.asvs) or '—'} |"
        for check in CHECKS
    ]
    head = "# The check-up\n\n`czo-auth doctor` looks at the settings, files, database and neighbors of a "
    head += "deployment and changes nothing. Each check is `ok`, `warn` (weaker than it should be), `fail` (does not "
    head += "work, or protects nobody) or `unknown` (could not be looked at). It ends with 2 where something fails, "
    head += "and with `--strict` with 1 where something is weak or unknown. The last column names requirements of "
    head += "OWASP ASVS 5.0 that a check speaks to; it does not prove them.\n\n"
    head += "| check | why | ASVS |\n| --- | --- | --- |\n"
    return head + "\n".join(rows) + "\n"


def rest_page() -> str:
    """Tell every REST route with who may call it."""
    from czo_auth.app import build_app_state
    from czo_auth.crypto.sealing import new_key_text
    from czo_auth.rest.app import rest_app
    from czo_auth.runtime import Runtime

    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(Settings(encryption_key=new_key_text(), data_dir=Path(folder)))  # type: ignore[arg-type]
        paths = rest_app(build_app_state(runtime), version="0").openapi()["paths"]
    rows = []
    for path, methods in paths.items():
        for method, operation in methods.items():
            told = (operation.get("description") or "").split("\n")[0]
            rows.append(f"| `{method.upper()} {path}` | {operation['x-credential']} | {told} |")
    head = "# REST\n\nBelow the base path (`/api/auth`). The second column says which credential a route asks for; "
    head += "`/openapi.json` has the bodies.\n\n| route | credential | what it does |\n| --- | --- | --- |\n"
    return head + "\n".join(rows) + "\n"


def graphql_page() -> str:
    """Tell the schema in its own language."""
    from czo_auth.graphql.schema import SCHEMA

    head = "# GraphQL\n\n`POST /graphql` on the standalone server; an embedding host mounts `auth.graphql` where it "
    head += "likes. Every field needs a credential. Introspection is open outside production "
    head += "(`CZO_AUTH_GRAPHQL_INTROSPECTION`).\n\n"
    return f"{head}```graphql\n{SCHEMA.as_str().strip()}\n```\n"


def cli_page() -> str:
    """Tell every command as its `--help` does, at a fixed width."""
    from czo_auth.cli.app import app

    root = typer.main.get_command(app)
    head = "# Command line\n\nEvery command with its options, as `--help` prints it.\n"
    return head + "".join(_commands(root, None, "czo-auth"))


def _commands(command: Any, parent: Any, path: str) -> Iterator[str]:
    context = command.make_context(path, [], parent=parent, resilient_parsing=True, terminal_width=96)
    context.info_name = path.rsplit(" ", 1)[-1]
    told = "\n".join(line.rstrip() for line in command.get_help(context).strip().splitlines())
    yield f"\n## {path}\n\n```text\n{told}\n```\n"
    for name in getattr(command, "commands", {}):
        yield from _commands(command.commands[name], context, f"{path} {name}")


def python_page() -> str:
    """Tell the public Python API: every name of the package, and every method of the server-side parts."""
    import czo_auth
    from czo_auth.api.api_keys import ApiKeys
    from czo_auth.api.organizations import Organizations
    from czo_auth.api.sessions import Sessions
    from czo_auth.api.users import Users
    from czo_auth.integrations.requirement import Demands

    head = (
        "# Python\n\nEverything that `czo_auth` exports, and what a host's own code asks of its deployment. "
    )
    head += "Coroutines are awaited; refusals are subclasses of `Refusal`.\n"
    parts = {
        "auth.users": Users,
        "auth.api_keys": ApiKeys,
        "auth.organizations": Organizations,
        "auth.sessions": Sessions,
    }
    text = head + "\n## Auth\n\n" + _documented(czo_auth.Auth) + _methods(czo_auth.Auth, "auth")
    for name, kind in parts.items():
        text += f"\n## {name}\n\n" + _documented(kind) + _methods(kind, name)
    text += "\n## Guards\n\n" + _documented(Demands)
    text += "\n## Types\n"
    for name in czo_auth.__all__:
        if name not in ("Auth", "Settings"):
            text += f"\n### {name}\n\n" + _documented(getattr(czo_auth, name))
    return text


def _documented(thing: Any) -> str:
    return f"```text\n{inspect.getdoc(thing)}\n```\n"


def _methods(kind: type, path: str) -> str:
    text = ""
    for name, member in vars(kind).items():
        if name.startswith("_") or not inspect.isfunction(member):
            continue
        signature = inspect.signature(member)
        shown = signature.replace(parameters=list(signature.parameters.values())[1:])
        start = "await " if inspect.iscoroutinefunction(member) else ""
        call = re.sub(r"(: |-> )'([^']*)'", r"\1\2", f"{start}{path}.{name}{shown}")
        text += f'\n### {path}.{name}\n\n```python title="the signature (not run)"\n{call}\n```\n\n'
        text += _documented(member)
    return text


def decisions_page() -> str:
    """Return the list of decisions with their titles."""
    rows = []
    for page in sorted((DOCS / "decisions").glob("[0-9]*.md")):
        headline = page.read_text("utf-8").splitlines()[0].removeprefix("# ")
        rows.append(f"- {page.name[:4]} [{headline}]({page.name})")
    head = "# Decisions\n\nOne page per decision: the context, the choice, what it costs, and when to look again.\n\n"
    return head + "\n".join(rows) + "\n"


def main() -> None:
    """Write or check the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is out of date")
    only_check = parser.parse_args().check
    pages = {
        "reference/settings.md": settings_page(),
        "reference/errors.md": errors_page(),
        "reference/events.md": events_page(),
        "reference/rest.md": rest_page(),
        "reference/graphql.md": graphql_page(),
        "reference/python.md": python_page(),
        "reference/cli.md": cli_page(),
        "reference/doctor.md": doctor_page(),
        "decisions/index.md": decisions_page(),
    }
    stale = []
    for name, text in pages.items():
        page = DOCS / name
        if page.exists() and page.read_text("utf-8") == text:
            continue
        stale.append(name)
        if not only_check:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, "utf-8")
    if only_check and stale:
        sys.exit(f"out of date: {', '.join(stale)}; run `make reference`")


if __name__ == "__main__":
    main()
