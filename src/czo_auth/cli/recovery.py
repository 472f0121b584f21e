"""``czo-auth users reset-2fa`` and related commands: recovery for users who lost their credentials."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from czo_auth.cli.options import AsJson, DatabaseUrl, DataDir, examples
from czo_auth.cli.users import Email, Reason, change_user, nobody

if TYPE_CHECKING:
    from datetime import datetime

    from czo_auth.auth import Auth
    from czo_auth.core.users.user import User

RESET_EXAMPLE = examples("czo-auth users reset-2fa ada@example.com --reason 'Phone lost, called back'")
LIST_EXAMPLE = examples("czo-auth users resets --json")
CANCEL_EXAMPLE = examples("czo-auth users cancel-reset ada@example.com")
RECOVER_EXAMPLE = examples("czo-auth users recover ada@example.com --reason 'Password lost, no mail here'")
_COLUMNS = ("email", "asked by", "reason", "asked", "due")
_MAX_COUNT = 200


def reset_two_factor(
    email: Email,
    reason: Reason,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Do not ask for confirmation on the terminal; scripts are never asked."),
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Remove the second factor of a user who lost everything, and any lock on it.

    It is done immediately, regardless of the waiting time for administrators. Their sessions end, and a mail notifies
    them. First make sure that the request comes from the user.
    """
    from czo_auth.cli.command import operator_context
    from czo_auth.cli.input import checked_reason

    why = checked_reason(reason)
    if not yes and sys.stdin.isatty():
        _confirm(email)

    async def change(auth: Auth, user: User, now: datetime) -> User:
        await auth.recovery.reset_now(user.id, reason=why, context=operator_context(now))
        return await auth.administration.get(user.id)

    change_user(
        email, change, "reset two factors of", as_json=as_json, data_dir=data_dir, database_url=database_url
    )


def _confirm(email: str) -> None:
    """Ask for the address once more, on stderr, or end."""
    from czo_auth.cli.command import REFUSED, fail, note

    note(f"{email} will get in by password alone until they set up two-factor authentication again.")
    if typer.prompt("Type the address to continue", err=True).strip() != email:
        fail("that is not the same address. Nothing was changed.", REFUSED)


def list_resets(
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=_MAX_COUNT, metavar="COUNT", help="Maximum number of rows.")
    ] = _MAX_COUNT,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List the pending resets of second factors, the soonest due first."""
    from czo_auth.cli.command import run
    from czo_auth.cli.output import print_json, print_table
    from czo_auth.core.errors import NotFound
    from czo_auth.core.paging import PageQuery
    from czo_auth.rest import records

    async def email_of(auth: Auth, user_id: str) -> str | None:
        try:
            return (await auth.administration.get(user_id)).email
        except NotFound:
            return None

    async def act(auth: Auth) -> None:
        page = await auth.recovery.list_waiting(PageQuery(limit=limit))
        rows = [
            (reset, await email_of(auth, reset.user_id), await email_of(auth, reset.asked_by))
            for reset in page.items
        ]
        if as_json:
            for reset, email, asker in rows:
                print_json(records.OperatorReset.of(reset, email=email, asked_by_email=asker).dump())
            return
        print_table(
            _COLUMNS,
            ((email, asker, reset.reason, reset.asked_at, reset.due_at) for reset, email, asker in rows),
        )
        if page.total > len(rows):
            print(f"and {page.total - len(rows)} more", file=sys.stderr)

    run(act, data_dir=data_dir, database_url=database_url)


def cancel_reset(
    email: Email, as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None
) -> None:
    """Cancel the pending reset of a second factor. The server notifies the user by mail."""
    from czo_auth.cli.command import operator_context
    from czo_auth.core.errors import Conflict, NotFound

    async def change(auth: Auth, user: User, now: datetime) -> User:
        try:
            await auth.recovery.cancel(user.id, context=operator_context(now))
        except NotFound:
            raise Conflict(f"no reset is pending for {user.email}.") from None
        return user

    change_user(
        email, change, "cancelled the reset of", as_json=as_json, data_dir=data_dir, database_url=database_url
    )


def recover(
    email: Email,
    reason: Reason,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Print a link, once, with which a user sets a new password; for deployments without mail.

    It works once, within an hour. Two-factor authentication stays on; for a user who lost that too, run `users
    reset-2fa`.
    Anyone who sees the link can use it, so hand it over in private.
    """
    from czo_auth.cli.command import note, operator_context, run
    from czo_auth.cli.input import checked_reason
    from czo_auth.cli.output import print_json

    why = checked_reason(reason)

    async def act(auth: Auth) -> tuple[str, str, bool]:
        user = await auth.administration.find_by_email(email)
        token = await auth.passwords.issue_recovery_token(
            user.id, reason=why, context=operator_context(auth.now())
        )
        links = auth.services.links
        is_guess = auth.settings.base_url is None
        return token, links.to_page(links.reset_password, token), is_guess

    token, link, is_guess = run(act, data_dir=data_dir, database_url=database_url, missing=nobody(email))
    if as_json:
        print_json({"link": link, "token": token, "baseUrlIsGuess": is_guess})
        return
    note("this link sets a new password, once, within an hour. It is not shown again.")
    if is_guess:
        note("CZO_AUTH_BASE_URL is not set, so the host and port of the link are a guess.")
    print(link)
