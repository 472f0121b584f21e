"""``czo-auth organizations``: list them, and give one whose owners are gone a new owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from czo_auth.cli.options import AsJson, DatabaseUrl, DataDir, Limit, examples
from czo_auth.cli.users import Email, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from czo_auth.auth import Auth
    from czo_auth.core.organizations.organization import Member, Organization

app = typer.Typer(
    help="List organizations, and give those without an owner a new one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_COLUMNS = ("name", "slug", "created", "id")


@app.command("list", epilog=examples("czo-auth organizations list --search acme --json"))
def list_organizations(
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Part of a name or a slug.", show_default=False)
    ] = None,
    limit: Limit = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List organizations, oldest first."""
    from czo_auth.cli.command import first_rows, run
    from czo_auth.cli.output import print_json, print_table
    from czo_auth.rest import records

    async def act(auth: Auth) -> Sequence[Organization]:
        return await first_rows(
            lambda page: auth.administer_accounts.search_organizations(text=search or None, page=page), limit
        )

    organizations = run(act, data_dir=data_dir, database_url=database_url)
    if as_json:
        for each in organizations:
            print_json(records.AdministeredOrganization.of_any(each).dump())
        return
    print_table(
        _COLUMNS,
        ((each.name, each.slug, each.created_at, each.id) for each in organizations),
    )


@app.command(
    epilog=examples(
        "czo-auth organizations owner 01983d2e-7c1a-7000-8000-3f1c2b6a9d10 ada@example.com --reason 'Owner left'"
    )
)
def owner(
    organization_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the organization.", show_default=False)
    ],
    email: Email,
    reason: Reason,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a member the owner of an organization whose owners are all gone or banned."""
    from czo_auth.cli.command import operator_context, run
    from czo_auth.cli.input import checked_reason
    from czo_auth.cli.output import print_json
    from czo_auth.core.text import escape_control
    from czo_auth.rest import records

    why = checked_reason(reason)

    async def act(auth: Auth) -> Member:
        user = await auth.administration.find_by_email(email)
        return await auth.administer_accounts.hand_over(
            organization_id, user_id=user.id, reason=why, context=operator_context(auth.now())
        )

    missing = "there is no such organization, or nobody with this address is a member of it."
    member = run(act, data_dir=data_dir, database_url=database_url, missing=missing)
    if as_json:
        print_json(records.Member.of(member).dump())
    else:
        print(escape_control(f"{member.email} owns {member.organization_id}", limit=1024))
