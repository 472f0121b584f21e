"""``czo-auth users import``: users from another system, one JSON object per line."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from czo_auth.cli.options import DatabaseUrl, DataDir, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from czo_auth.auth import Auth
    from czo_auth.core.flows.administration.import_users import SourceUser

EXAMPLE = examples("czo-auth users import < users.jsonl")


def import_users(
    allowed: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-actor-type",
            metavar="NAME",
            help="Administering actor type that lines may give; may be repeated.",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Import users with their password hashes, from standard input.

    A line is {"email": …, "name": …, "passwordHash": …}, with "emailVerified" (false), "actorTypes" ([]), "banned"
    (false), "createdAt" (a time with its zone) and "externalId" (the id in the other system) as options, and the
    host's own fields of users (--app). Hashes: Argon2, bcrypt, Django's PBKDF2 and scrypt, better-auth's scrypt; null
    for a user who sets a password by mail. Each becomes Argon2id at its owner's first sign-in.

    The same file may be imported again: for users that exist, name and external id are updated, and a confirmed
    address or a ban is added; passwords, actor types and times stay. A refused line is reported by its number, and the
    others are imported.
    """
    import sys

    from czo_auth.cli.command import REFUSED, fail, note, operator_context, refusal_sentence, run
    from czo_auth.core.errors import Refusal, Unavailable
    from czo_auth.core.flows.administration.import_users import ImportUsers
    from czo_auth.importers.json_lines import read_users

    async def act(auth: Auth) -> Counter[str]:
        importing = ImportUsers(auth.services)
        counts: Counter[str] = Counter()
        for number, record in read_users(sys.stdin.buffer):
            try:
                if isinstance(record, str):
                    raise UnreadableLine(record)
                refuse_administrators(auth, record, allowed or [])
                counts[await importing.import_user(record, context=operator_context(auth.now()))] += 1
            except Unavailable:
                raise
            except (UnreadableLine, Refusal) as error:
                counts["refused"] += 1
                why = refusal_sentence(error, with_fields=True) if isinstance(error, Refusal) else error
                note(f"line {number}: {why}")
        return counts

    counts = run(act, data_dir=data_dir, database_url=database_url)
    print(
        f"{counts['imported']} users were imported, {counts['updated']} updated, {counts['unchanged']} unchanged, "
        f"{counts['refused']} lines were refused"
    )
    if counts["refused"]:
        fail("the lines that are named were not imported.", REFUSED)


class UnreadableLine(Exception):
    """A line is not a user; the message says why, without its contents."""


def refuse_administrators(auth: Auth, record: SourceUser, allowed: Sequence[str]) -> None:
    """Refuse a line that would make somebody an administrator, unless the command allows it."""
    for name in record.actor_types:
        if auth.services.actors.administers(name) and name not in allowed:
            raise UnreadableLine(
                f"the actor type {name} administers: --allow-actor-type {name} lets lines give it."
            )
