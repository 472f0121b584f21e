"""``czo-auth users delete | export | revoke | sessions``: accounts, their data and their sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from czo_auth.cli.options import AsJson, DatabaseUrl, DataDir, examples
from czo_auth.cli.users import Email, Reason, change_user, nobody

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from czo_auth.auth import Auth
    from czo_auth.core.sessions.session import Session
    from czo_auth.core.users.user import User

DELETE_EXAMPLE = examples("czo-auth users delete eve@example.com --reason 'Asked by letter, ticket 4712'")
EXPORT_EXAMPLE = examples("czo-auth users export ada@example.com > ada.json")
REVOKE_EXAMPLE = examples("czo-auth users revoke ada@example.com --actor-type admin")
SESSIONS_EXAMPLE = examples(
    "czo-auth users sessions ada@example.com --json", "czo-auth users sessions ada@example.com --end-all"
)
_COLUMNS = ("created", "last used", "expires", "actor type", "aal", "address", "browser", "id")

Force: TypeAlias = Annotated[
    bool,
    typer.Option("--force", help="Also the last administrator; nobody may be able to administer afterwards."),
]


def delete_user(
    email: Email,
    reason: Reason,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also the last administrator, and the last owner of an organization."),
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Delete a user with everything that is stored about them. Audit records keep only the id of the user.

    Organizations without other members are deleted too.
    """
    from czo_auth.cli.command import operator_context
    from czo_auth.cli.input import checked_reason

    why = checked_reason(reason)

    async def change(auth: Auth, user: User, now: datetime) -> User:
        return await auth.delete_user.delete(user.id, reason=why, force=force, context=operator_context(now))

    change_user(email, change, "deleted", as_json=as_json, data_dir=data_dir, database_url=database_url)


def export_user(email: Email, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """
    Print everything that is stored about a user as one JSON object, without secrets and without data of other people.
    """
    import json

    from czo_auth.cli.command import operator_context, run

    async def act(auth: Auth) -> dict[str, object]:
        user = await auth.administration.find_by_email(email)
        return await auth.export_user.export_of(user.id, context=operator_context(auth.now()))

    document = run(act, data_dir=data_dir, database_url=database_url, missing=nobody(email))
    print(json.dumps(document, indent=2, ensure_ascii=False))


def revoke_actor_type(
    email: Email,
    actor_type: Annotated[
        list[str],
        typer.Option(help="Actor type to take away; may be repeated.", show_default=False, metavar="TYPE"),
    ],
    force: Force = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Remove an actor type from a user; sessions of that type end."""
    from czo_auth.cli.command import operator_context

    async def change(auth: Auth, user: User, now: datetime) -> User:
        return await auth.administration.change_actor_types(
            user.id, add=(), remove=actor_type, force=force, context=operator_context(now)
        )

    change_user(email, change, "revoked", as_json=as_json, data_dir=data_dir, database_url=database_url)


def list_sessions(
    email: Email,
    end_all: Annotated[
        bool, typer.Option("--end-all", help="End all of them, and print the ended ones.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List a user's live sessions, newest first."""
    from czo_auth.cli.command import operator_context, run
    from czo_auth.cli.output import print_json, print_table
    from czo_auth.rest import records

    async def act(auth: Auth) -> Sequence[Session]:
        user = await auth.administration.find_by_email(email)
        found = await auth.administer_accounts.list_sessions(user.id, now=auth.now())
        if end_all:
            await auth.administer_accounts.end_sessions(user.id, context=operator_context(auth.now()))
        return found

    sessions = run(act, data_dir=data_dir, database_url=database_url, missing=nobody(email))
    if as_json:
        for session in sessions:
            print_json(records.ListedSession.of(session, restricted_to=None).dump())
        return
    print_table(
        _COLUMNS,
        (
            (
                *(one.created_at, one.last_used_at, one.expires_at, one.actor_type),
                *(one.aal, one.ip, one.user_agent, one.id),
            )
            for one in sessions
        ),
    )
