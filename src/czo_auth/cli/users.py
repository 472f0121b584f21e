"""``czo-auth users``: users, managed by an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from czo_auth.cli.options import AsJson, DatabaseUrl, DataDir, Limit, examples
from czo_auth.core.users.status import UserStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from czo_auth.auth import Auth
    from czo_auth.core.flows.administration.user_overview import UserOverview
    from czo_auth.core.users.store import UserFilter
    from czo_auth.core.users.user import User
    from czo_auth.rest.records import AdministeredUser

app = typer.Typer(
    help="Create, find, promote, ban and unlock users, and help them recover.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_COLUMNS = ("email", "name", "actor types", "2FA", "banned", "created", "id")
_PAGE = 200

Email: TypeAlias = Annotated[
    str, typer.Argument(metavar="EMAIL", help="Address of the user.", show_default=False)
]
Reason: TypeAlias = Annotated[
    str, typer.Option(metavar="REASON", help="Reason; it is in the audit log.", show_default=False)
]


@app.command(
    epilog=examples(
        "czo-auth users create --email ada@example.com --name Ada --actor-type admin",
        "czo-auth users create --email bob@example.com --name Bob --password-stdin < password.txt",
    )
)
def create(
    email: Annotated[str, typer.Option(metavar="EMAIL", help="Address, unique.", show_default=False)],
    name: Annotated[str, typer.Option(metavar="NAME", help="Name that is shown.", show_default=False)],
    actor_type: Annotated[
        list[str] | None,
        typer.Option(
            help="Actor type besides the default one; may be repeated.", show_default=False, metavar="TYPE"
        ),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input, one line.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Create a user. The password is asked for, or read from standard input; it is never an argument.

    An actor type that demands two factors lets its user do nothing else until they are set up.
    """
    from czo_auth.cli.command import operator_context, run
    from czo_auth.cli.input import checked_name, new_password
    from czo_auth.core.flows.sign_in.sign_up import NewUser

    new = NewUser(email=email, name=checked_name(name), password=new_password(from_stdin=password_stdin))

    async def act(auth: Auth) -> tuple[AdministeredUser, bool]:
        types = tuple(auth.services.actors.get(each) for each in actor_type or ())
        user, _ = await auth.sign_up.create(
            new, actor_types=types, email_verified=True, context=operator_context(auth.now())
        )
        return shown_user(auth, user), auth.services.must_enroll(user, now=auth.now())

    user, must_enroll = run(act, data_dir=data_dir, database_url=database_url)
    _print_result(user, "created", as_json=as_json)
    if must_enroll and not as_json:
        print("Their first sign-in asks them to set up two-factor authentication.")


@app.command(
    "list",
    epilog=examples(
        "czo-auth users list --search ada --json",
        "czo-auth users list --status active --actor-type admin --no-2fa",
    ),
)
def list_users(
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Part of an address or a name.", show_default=False)
    ] = None,
    status: Annotated[
        UserStatus | None, typer.Option(help="Only active, unverified or banned ones.", show_default=False)
    ] = None,
    actor_type: Annotated[
        str | None, typer.Option(metavar="TYPE", help="Only holders of this actor type.", show_default=False)
    ] = None,
    two_factor: Annotated[
        bool | None,
        typer.Option("--2fa/--no-2fa", help="Only with, or without, two factors.", show_default=False),
    ] = None,
    folded: Annotated[
        bool,
        typer.Option(
            "--folded",
            help="Only those whose address an earlier version may have changed, such as groß@ to gross@.",
        ),
    ] = False,
    limit: Limit = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List users, oldest first."""
    from czo_auth.cli.command import run
    from czo_auth.cli.output import print_json, print_table
    from czo_auth.core.users.store import UserFilter

    async def act(auth: Auth) -> None:
        matching = UserFilter(
            text=search or None, status=status, actor_type=actor_type, two_factor=two_factor
        )
        pages = _folded_pages(auth) if folded else _pages(auth, matching)
        left = limit
        users: list[User] = []
        async for page in pages:
            shown = page[:left]
            left = None if left is None else left - len(shown)
            users += [] if as_json else shown
            for user in shown if as_json else ():
                print_json(shown_user(auth, user).dump())
            if left == 0:
                break
        if as_json:
            return
        print_table(
            _COLUMNS,
            (
                (
                    *(user.email, user.name, sorted(user.actor_types), user.has_factor),
                    *(user.banned_at is not None, user.created_at, user.id),
                )
                for user in users
            ),
        )

    run(act, data_dir=data_dir, database_url=database_url)


async def _pages(auth: Auth, matching: UserFilter) -> AsyncIterator[Sequence[User]]:
    from czo_auth.core.paging import PageQuery

    cursor: str | None = None
    while True:
        page = await auth.administration.search(matching, page=PageQuery(limit=_PAGE, cursor=cursor))
        yield page.items
        cursor = page.next_cursor
        if cursor is None:
            return


async def _folded_pages(auth: Auth) -> AsyncIterator[Sequence[User]]:
    after: str | None = None
    while page := await auth.administration.list_folded(after=after, limit=_PAGE):
        yield page
        after = page[-1].id


@app.command(epilog=examples("czo-auth users show ada@example.com --json"))
def show(
    email: Email, as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None
) -> None:
    """Show a user, the state of their second factor, and how many keys and sessions they have."""
    from czo_auth.cli.command import run
    from czo_auth.cli.output import print_fields, print_json
    from czo_auth.core.flows.administration.user_overview import user_overview

    async def act(auth: Auth) -> dict[str, object]:
        overview = await user_overview(auth.services, email, now=auth.now())
        return shown_user(auth, overview.user).dump() | _row_of(overview)

    shaped = run(act, data_dir=data_dir, database_url=database_url, missing=nobody(email))
    if as_json:
        print_json(shaped)
        return
    two_factor = shaped.pop("twoFactor")
    assert isinstance(two_factor, dict)  # noqa: S101 - for the type checker
    print_fields(shaped | {f"twoFactor.{name}": value for name, value in two_factor.items()})


def _row_of(overview: UserOverview) -> dict[str, object]:
    from czo_auth.asgi.timestamps import format_timestamp_or_none

    return {
        "twoFactor": {
            "enabled": overview.enabled_at is not None,
            "enabledAt": format_timestamp_or_none(overview.enabled_at),
            "pending": overview.pending,
            "requiredByPolicy": overview.required_by_policy,
            "backupCodesRemaining": overview.backup_codes_remaining,
            "passkeys": overview.passkeys,
            "lockedUntil": format_timestamp_or_none(overview.locked_until),
            "stopped": overview.stopped,
        },
        "apiKeys": overview.api_keys,
        "sessions": overview.sessions,
    }


@app.command(epilog=examples("czo-auth users grant ada@example.com --actor-type admin"))
def grant(
    email: Email,
    actor_type: Annotated[
        list[str],
        typer.Option(help="Actor type to grant; may be repeated.", show_default=False, metavar="TYPE"),
    ],
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Grant a user an actor type. It counts from their next request, in existing sessions too.
    """
    from czo_auth.cli.command import operator_context

    async def change(auth: Auth, user: User, now: datetime) -> User:
        return await auth.administration.change_actor_types(
            user.id, add=actor_type, remove=(), context=operator_context(now)
        )

    change_user(email, change, "granted", as_json=as_json, data_dir=data_dir, database_url=database_url)


@app.command(epilog=examples("czo-auth users ban eve@example.com --reason 'Stolen cards, ticket 4711'"))
def ban(
    email: Email,
    reason: Reason,
    force: Annotated[
        bool, typer.Option("--force", help="Also the last administrator; nobody can administer afterwards.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Ban a user: their sessions, refresh tokens and API keys end immediately, the keys permanently."""
    from czo_auth.cli.command import operator_context
    from czo_auth.cli.input import checked_reason

    why = checked_reason(reason)

    async def change(auth: Auth, user: User, now: datetime) -> User:
        return await auth.administration.ban(user.id, reason=why, force=force, context=operator_context(now))

    change_user(email, change, "banned", as_json=as_json, data_dir=data_dir, database_url=database_url)


@app.command(epilog=examples("czo-auth users unban eve@example.com"))
def unban(
    email: Email, as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None
) -> None:
    """Lift a ban. Sessions and API keys stay ended."""
    from czo_auth.cli.command import operator_context

    async def change(auth: Auth, user: User, now: datetime) -> User:
        return await auth.administration.unban(user.id, context=operator_context(now))

    change_user(email, change, "unbanned", as_json=as_json, data_dir=data_dir, database_url=database_url)


def change_user(
    email: str,
    change: Callable[[Auth, User, datetime], Awaitable[User]],
    done: str,
    *,
    as_json: bool,
    data_dir: Path | None,
    database_url: str | None,
) -> None:
    """Find a user, change them, and print the result."""
    from czo_auth.cli.command import run

    async def act(auth: Auth) -> AdministeredUser:
        user = await change(auth, await auth.administration.find_by_email(email), auth.now())
        return shown_user(auth, user)

    user = run(act, data_dir=data_dir, database_url=database_url, missing=nobody(email))
    _print_result(user, done, as_json=as_json)


def nobody(email: str) -> str:
    return f"nobody has the address {email}."


def shown_user(auth: Auth, user: User) -> AdministeredUser:
    """Return the record of a user, with the host's own fields, as REST has it."""
    from czo_auth.rest import records

    return records.AdministeredUser.of(user, auth.services.policies.user_fields)


def _print_result(user: AdministeredUser, done: str, *, as_json: bool) -> None:
    from czo_auth.cli.output import print_json
    from czo_auth.core.text import escape_control

    if as_json:
        print_json(user.dump())
    else:
        print(escape_control(f"{done} {user.email} ({', '.join(user.actor_types)}) {user.id}", limit=1024))
