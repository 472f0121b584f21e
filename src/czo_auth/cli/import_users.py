"""``czo-auth users import``: users of another system, one JSON object a line."""

from __future__ import annotations

import codecs
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from czo_auth.cli.options import DatabaseUrl, DataDir, examples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from czo_auth.auth import Auth
    from czo_auth.core.flows.administration.import_users import KnownUser

EXAMPLE = examples("czo-auth users import < users.jsonl")
_MAX_LINE = 64 * 1024


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
    Import users with the password hashes that they have, from standard input.

    A line is {"email": …, "name": …, "passwordHash": …}, with "emailVerified" (false), "actorTypes" ([]), "banned"
    (false), "createdAt" (a time with its zone) and "externalId" (the id in the other system) as you like, and the
    host's own fields of users (--app). Hashes: Argon2, bcrypt, Django's PBKDF2 and scrypt, better-auth's scrypt; null
    for a user who shall set a password by mail. Each becomes Argon2id at its owner's first sign-in.

    The same file may be given again: of users that exist, name and external id are taken over, a confirmed address and
    a ban where they are new; passwords, actor types and times stay. A line that is refused is named by its number, and
    the others go on.
    """
    from czo_auth.cli.session import REFUSED, fail, note, operator_context, refusal_sentence, run
    from czo_auth.core.errors import Refusal, Unavailable
    from czo_auth.core.flows.administration.import_users import ImportUsers

    async def act(auth: Auth) -> Counter[str]:
        importing = ImportUsers(auth.services)
        counts: Counter[str] = Counter()
        for number, known in _lines():
            try:
                if isinstance(known, str):
                    raise _Unreadable(known)
                _refuse_administrators(auth, known, allowed or [])
                counts[await importing.bring(known, context=operator_context(auth.now()))] += 1
            except Unavailable:
                raise
            except (_Unreadable, Refusal) as error:
                counts["refused"] += 1
                note(f"line {number}: {refusal_sentence(error) if isinstance(error, Refusal) else error}")
        return counts

    counts = run(act, data_dir=data_dir, database_url=database_url)
    print(
        f"{counts['imported']} users were imported, {counts['updated']} updated, {counts['unchanged']} unchanged, "
        f"{counts['refused']} lines were refused"
    )
    if counts["refused"]:
        fail("the lines that are named were not imported.", REFUSED)


class _Unreadable(Exception):
    """A line is no user; says why, and never what stands there."""


def _refuse_administrators(auth: Auth, known: KnownUser, allowed: Sequence[str]) -> None:
    """Refuse a line that would make an administrator of somebody, unless the command says so."""
    for name in known.actor_types:
        if auth.services.actors.administers(name) and name not in allowed:
            raise _Unreadable(
                f"the actor type {name} administers: --allow-actor-type {name} lets lines give it."
            )


def _lines() -> Iterator[tuple[int, KnownUser | str]]:
    """Read the lines by number: a user, or the sentence that says why there is none."""
    import sys

    from pydantic import ValidationError

    line_of = _line_model()
    for number, line in enumerate(_lines_of(sys.stdin.buffer), start=1):
        if len(line) > _MAX_LINE:
            yield number, f"it has more than {_MAX_LINE} bytes."
            continue
        if not line.strip():
            continue
        try:
            yield number, line_of.model_validate_json(line).known()
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
            where = ".".join(str(part) for part in problem["loc"])
            message = problem["msg"].removeprefix("Value error, ")
            yield number, f"{where}: {message}" if where else "this is not a JSON object."


def _lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """Read lines, of each a little more than may be in it: what is too long counts as one line all the same."""
    first = True
    while line := stream.readline(_MAX_LINE + 1):
        if first:
            # A byte-order mark, as some editors and spreadsheets write it.
            line, first = line.removeprefix(codecs.BOM_UTF8), False
        rest = line
        while len(rest) > _MAX_LINE and not rest.endswith(b"\n"):
            rest = stream.readline(_MAX_LINE + 1)
        yield line


def _to_milliseconds(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)


def _line_model() -> Any:
    from pydantic import AwareDatetime, Field

    from czo_auth.core.flows.administration.import_users import KnownUser
    from czo_auth.rest.models import Email, Name, OpenBody

    class Line(OpenBody):
        email: Email
        name: Name
        password_hash: str | None
        email_verified: bool = False
        actor_types: tuple[str, ...] = ()
        banned: bool = False
        created_at: Annotated[AwareDatetime | None, Field(strict=False)] = None
        external_id: str | None = None

        def known(self) -> KnownUser:
            return KnownUser(
                email=self.email,
                name=self.name,
                password_hash=self.password_hash,
                email_verified=self.email_verified,
                actor_types=self.actor_types,
                banned=self.banned,
                created_at=None if self.created_at is None else _to_milliseconds(self.created_at),
                external_id=self.external_id,
                fields=self.own_fields,
            )

    return Line
