"""``czo-auth users import``: users of another system, one JSON object a line."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any, BinaryIO

from czo_auth.cli.options import DatabaseUrl, DataDir, examples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from czo_auth.auth import Auth
    from czo_auth.core.flows.administration.import_users import KnownUser

EXAMPLE = examples("czo-auth users import < users.jsonl")
_MAX_LINE = 64 * 1024


def import_users(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """
    Import users with the password hashes that they have, from standard input.

    A line is {"email": …, "name": …, "passwordHash": …}, with "emailVerified" (false) and "actorTypes" ([]) as you
    like. Hashes: Argon2, bcrypt, Django's PBKDF2 and scrypt, better-auth's scrypt; null for a user who shall set a
    password by mail. Each becomes Argon2id at its owner's first sign-in.

    A line that is refused is named by its number, and the others go on; users that exist are left as they are, so the
    same file may be given again.
    """
    from czo_auth.cli.session import REFUSED, fail, note, operator_context, refusal_sentence, run
    from czo_auth.core.errors import Refusal, Unavailable
    from czo_auth.core.flows.administration.import_users import ImportUsers

    async def act(auth: Auth) -> tuple[int, int]:
        importing = ImportUsers(auth.services)
        added = refused = 0
        for number, known in _lines():
            try:
                if isinstance(known, str):
                    raise _Unreadable(known)
                await importing.add(known, context=operator_context(auth.now()))
            except Unavailable:
                raise
            except (_Unreadable, Refusal) as error:
                refused += 1
                note(f"line {number}: {refusal_sentence(error) if isinstance(error, Refusal) else error}")
            else:
                added += 1
        return added, refused

    added, refused = run(act, data_dir=data_dir, database_url=database_url)
    print(f"{added} users were imported, {refused} lines were refused")
    if refused:
        fail("the lines that are named were not imported.", REFUSED)


class _Unreadable(Exception):
    """A line is no user; says why, and never what stands there."""


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


def _line_model() -> Any:
    from czo_auth.core.flows.administration.import_users import KnownUser
    from czo_auth.rest.models import Body, Email, Name

    class Line(Body):
        email: Email
        name: Name
        password_hash: str | None
        email_verified: bool = False
        actor_types: tuple[str, ...] = ()

        def known(self) -> KnownUser:
            return KnownUser(
                email=self.email,
                name=self.name,
                password_hash=self.password_hash,
                email_verified=self.email_verified,
                actor_types=self.actor_types,
            )

    return Line
