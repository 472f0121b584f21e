"""``czo-auth import``: accounts from another system with their second factors, passkeys and API keys."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from czo_auth.cli.options import DatabaseUrl, DataDir, examples

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from czo_auth.auth import Auth
    from czo_auth.core.flows.administration.import_records import SourceAccount, SourceOrganization
    from czo_auth.importers import ReaderOptions, Unreadable

EXAMPLE = examples(
    "czo-auth import better-auth --from shop.db --secret-file secret.txt --dry-run",
    "czo-auth import django-allauth --from postgresql://reader@db/shop",
    "czo-auth import json-lines --from accounts.jsonl",
)
_MAX_NAMED = 1000


def import_source(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="better-auth, better-auth-server, django-allauth, django-otp, django-mfa, django-mfa2, "
            "fastapi-users or json-lines.",
        ),
    ],
    origin: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="ADDRESS",
            help="Its database: a SQLite file or postgresql://…, opened for reading only. For json-lines, the file, "
            "or - for standard input.",
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do everything, store nothing, and report.")
    ] = False,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="better-auth's secret, or a line `version:secret` for each.",
            show_default=False,
        ),
    ] = None,
    users_table: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="The table of users, if it has another name.", show_default=False),
    ] = None,
    decrypt: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="Python function that decrypts stored TOTP secrets, if the project encrypts them.",
            show_default=False,
        ),
    ] = None,
    renew_days: Annotated[
        int,
        typer.Option(
            metavar="DAYS", min=1, max=365, help="Days for which TOTP secrets under 128 bits are accepted."
        ),
    ] = 90,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Import accounts: users with password hashes, TOTP secrets, passkeys, API keys, organizations and members.

    Each account is imported in one transaction. Run it again after an interruption, or for new accounts: what was
    imported once is not imported again, even if it was deleted here since. The report names what was not imported, and
    why. Nothing is written to the source. API keys are imported if CZO_AUTH_RETIRED_KEY_FORMATS lists their prefix.
    """
    from datetime import timedelta

    from czo_auth.cli.command import CANNOT_START, REFUSED, fail, operator_context, refusal_sentence, run
    from czo_auth.core.errors import Refusal, Unavailable
    from czo_auth.core.flows.administration.import_accounts import ImportAccounts
    from czo_auth.core.flows.administration.import_records import SourceAccount, SourceOrganization
    from czo_auth.importers import SOURCES, ReaderOptions
    from czo_auth.importers.source import SourceRefused

    if source not in SOURCES and source != "json-lines":
        fail(f"no source is called {source}: there are {', '.join(SOURCES)} and json-lines.", CANNOT_START)
    options = ReaderOptions(
        secrets=_secrets(secret_file), users_table=users_table, decrypt=_function(decrypt)
    )
    counts: Counter[tuple[str, str]] = Counter()
    notes: list[dict[str, str]] = []

    async def act(auth: Auth) -> None:
        importing = ImportAccounts(
            auth.services,
            source="json-lines" if source == "json-lines" else SOURCES[source],
            rp_id=auth.services.policies.passkeys.rp_id,
            renew_within=timedelta(days=renew_days),
            dry_run=dry_run,
        )
        async for record in _everything(source, origin, options):
            context = operator_context(auth.now())
            try:
                if isinstance(record, SourceAccount):
                    imported = await importing.import_account(record, context=context)
                elif isinstance(record, SourceOrganization):
                    imported = await importing.import_organization(record, context=context)
                else:
                    counts["user", "refused"] += 1
                    notes.append({"id": record.source_id, "note": record.why})
                    continue
            except Unavailable:
                raise
            except Refusal as refusal:
                kind = "user" if isinstance(record, SourceAccount) else "organization"
                counts[kind, "refused"] += 1
                notes.append({"id": record.source_id, "note": refusal_sentence(refusal, with_fields=True)})
                continue
            counts.update(imported.outcomes)
            notes.extend({"id": record.source_id, "note": note} for note in imported.notes)

    try:
        run(act, data_dir=data_dir, database_url=database_url)
    except SourceRefused as refused:
        fail(f"{refused}.", REFUSED)
    _report(counts, notes, dry_run=dry_run, as_json=as_json)


async def _everything(
    source: str, origin: str, options: ReaderOptions
) -> AsyncIterator[SourceAccount | SourceOrganization | Unreadable]:
    from czo_auth.importers import reader_of
    from czo_auth.importers.source import open_source

    if source == "json-lines":
        for record in _json_lines(origin):
            yield record
        return
    async with open_source(origin) as database:
        reader = reader_of(source, database, options)
        async for account in reader.accounts():
            yield account
        async for organization in reader.organizations():
            yield organization


def _json_lines(origin: str) -> Any:
    import sys

    from czo_auth.importers import Unreadable
    from czo_auth.importers.json_lines import read_accounts
    from czo_auth.importers.source import SourceRefused

    try:
        stream = sys.stdin.buffer if origin == "-" else Path(origin).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise SourceRefused(f"{origin} cannot be read: {error.strerror}") from None
    with stream:
        for number, record in read_accounts(stream):
            yield Unreadable(source_id=f"line {number}", why=record) if isinstance(record, str) else record


def _secrets(file: Path | None) -> Mapping[str, str]:
    """Read better-auth's secrets by version; the one without a version is alone on its line."""
    from czo_auth.cli.command import CANNOT_START, fail

    if file is None:
        return {}
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        fail(f"--secret-file {file} cannot be read.", CANNOT_START)
    secrets: dict[str, str] = {}
    for line in filter(None, map(str.strip, lines)):
        version, colon, secret = line.partition(":")
        if colon and version.isascii() and version.isdecimal():
            secrets[version] = secret
        else:
            secrets[""] = line
    return secrets


def _function(name: str | None) -> Callable[[str], str] | None:
    """Import a function that was named as ``module:function``; the module may be in the working folder."""
    import sys
    from importlib import import_module

    from czo_auth.cli.command import CANNOT_START, fail

    if name is None:
        return None
    module, _, attribute = name.partition(":")
    sys.path.insert(0, "")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError):
        fail(f"--decrypt: there is no function {name}.", CANNOT_START)
    finally:
        sys.path.remove("")
    if not callable(found):
        fail(f"--decrypt: {name} cannot be called.", CANNOT_START)
    function: Callable[[str], str] = found
    return function


def _report(
    counts: Mapping[tuple[str, str], int], notes: list[dict[str, str]], *, dry_run: bool, as_json: bool
) -> None:
    import json

    from czo_auth.core.text import escape_control

    outcomes = ("imported", "updated", "there", "refused")
    kinds = {
        "user": "users",
        "totp": "authenticator apps",
        "passkey": "passkeys",
        "apiKey": "API keys",
        "organization": "organizations",
        "member": "members",
    }
    if as_json:
        table = {kind: {each: counts.get((kind, each), 0) for each in outcomes} for kind in kinds}
        print(json.dumps({"dryRun": dry_run, "counts": table, "notes": notes}))
        return
    print(f"{'':<20}" + "".join(f"{each:>10}" for each in outcomes))
    for kind, name in kinds.items():
        print(f"{name:<20}" + "".join(f"{counts.get((kind, each), 0):>10}" for each in outcomes))
    for note in notes[:_MAX_NAMED]:
        print(escape_control(f"{note['id']}: {note['note']}"))
    if len(notes) > _MAX_NAMED:
        print(f"… and {len(notes) - _MAX_NAMED} more: --json names all")
    if dry_run:
        print("This was a dry run: nothing was stored.")
