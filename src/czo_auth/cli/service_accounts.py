"""``czo-auth service-accounts``: identities of organizations for machines, and their API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from czo_auth.cli.options import AsJson, DatabaseUrl, DataDir, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from czo_auth.auth import Auth
    from czo_auth.core.flows.api_keys.new_key import CreatedApiKey
    from czo_auth.core.service_accounts.account import ServiceAccount

app = typer.Typer(
    help="List, create, disable and delete service accounts of organizations, and create their API keys.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_ID = "01983d2e-7c1a-7000-8000-3f1c2b6a9d10"
_ACCOUNT = "01983d2e-7c1a-7000-8000-5d0e4c7b1f22"
_COLUMNS = ("name", "scopes", "enabled", "last used", "created", "id")
_NO_ORGANIZATION = "there is no such organization."
_UNKNOWN = "there is no such organization, or it has no such service account."
OrganizationId = Annotated[
    str, typer.Argument(metavar="ORGANIZATION", help="Id of the organization.", show_default=False)
]
AccountId = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the service account.", show_default=False)
]
Name = Annotated[str, typer.Option(metavar="NAME", help="Name that is shown.", show_default=False)]
Scopes = Annotated[
    list[str] | None,
    typer.Option(help="Scope, `resource:action`; may be repeated.", show_default=False, metavar="SCOPE"),
]


@app.command("list", epilog=examples(f"czo-auth service-accounts list {_ID} --json"))
def list_accounts(
    organization_id: OrganizationId,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List the service accounts of an organization, newest first."""
    from czo_auth.cli.command import run
    from czo_auth.cli.output import print_json, print_table
    from czo_auth.core.flows.service_accounts.manage import list_accounts as read_accounts
    from czo_auth.core.limits import MAX_SERVICE_ACCOUNTS
    from czo_auth.core.paging import PageQuery
    from czo_auth.rest import records

    async def act(auth: Auth) -> Sequence[ServiceAccount]:
        organization = await auth.operate_organizations.get(organization_id)
        # There are never more than fit on one page.
        page = PageQuery(limit=MAX_SERVICE_ACCOUNTS)
        found = await auth.services.transactions.read(lambda tx: read_accounts(tx, organization.id, page))
        return found.items

    accounts = run(act, data_dir=data_dir, database_url=database_url, missing=_NO_ORGANIZATION)
    if as_json:
        for each in accounts:
            print_json(records.ServiceAccount.of(each).dump())
        return
    print_table(
        _COLUMNS,
        (
            (each.name, each.scopes, each.enabled, each.last_used_at, each.created_at, each.id)
            for each in accounts
        ),
    )


@app.command(
    epilog=examples(
        f"czo-auth service-accounts create {_ID} --name pipeline --scope orders:read --scope orders:write"
    )
)
def create(
    organization_id: OrganizationId,
    name: Name,
    scope: Scopes = None,
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What it is for.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Create a service account. Its scopes are the most that its keys may have."""
    from czo_auth.cli.command import operator_context, run
    from czo_auth.cli.input import checked_name
    from czo_auth.core.flows.service_accounts.manage import NewServiceAccount

    new = NewServiceAccount(name=checked_name(name), description=description, scopes=tuple(scope or ()))

    async def act(auth: Auth) -> ServiceAccount:
        return await auth.manage_service_accounts.operate_create(
            organization_id, new, context=operator_context(auth.now())
        )

    made = run(act, data_dir=data_dir, database_url=database_url, missing=_NO_ORGANIZATION)
    _print(made, f"created {made.id}", as_json=as_json)


@app.command(epilog=examples(f"czo-auth service-accounts disable {_ID} {_ACCOUNT}"))
def disable(
    organization_id: OrganizationId,
    account_id: AccountId,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Refuse the keys of a service account from their next request, until it is enabled."""
    changed = _set_enabled(
        organization_id, account_id, enabled=False, data_dir=data_dir, database_url=database_url
    )
    _print(changed, f"disabled {changed.id}", as_json=as_json)


@app.command(epilog=examples(f"czo-auth service-accounts enable {_ID} {_ACCOUNT}"))
def enable(
    organization_id: OrganizationId,
    account_id: AccountId,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Accept the keys of a service account again."""
    changed = _set_enabled(
        organization_id, account_id, enabled=True, data_dir=data_dir, database_url=database_url
    )
    _print(changed, f"enabled {changed.id}", as_json=as_json)


@app.command(epilog=examples(f"czo-auth service-accounts delete {_ID} {_ACCOUNT}"))
def delete(
    organization_id: OrganizationId,
    account_id: AccountId,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Delete a service account; its keys end permanently, at their next request."""
    from czo_auth.cli.command import operator_context, run

    async def act(auth: Auth) -> None:
        await auth.manage_service_accounts.operate_delete(
            organization_id, account_id, context=operator_context(auth.now())
        )

    run(act, data_dir=data_dir, database_url=database_url, missing=_UNKNOWN)
    print(f"deleted {account_id}")


@app.command(
    "create-key",
    epilog=examples(
        f"czo-auth service-accounts create-key {_ID} {_ACCOUNT} --name ci --scope orders:read --days 90"
    ),
)
def create_key(
    organization_id: OrganizationId,
    account_id: AccountId,
    name: Name,
    scope: Scopes = None,
    days: Annotated[
        int | None,
        typer.Option(help="Days until it expires; by default it does not.", min=1, show_default=False),
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Create an API key of a service account, with scopes that the account has. It is printed once."""
    from datetime import timedelta

    from czo_auth.cli.command import note, operator_context, run
    from czo_auth.cli.input import checked_name
    from czo_auth.cli.output import print_json
    from czo_auth.core.flows.api_keys.new_key import NewApiKey
    from czo_auth.rest import records

    new = NewApiKey(
        name=checked_name(name),
        scopes=tuple(scope or ()),
        expires_in=None if days is None else timedelta(days=days),
    )

    async def act(auth: Auth) -> CreatedApiKey:
        return await auth.service_account_keys.operate_create(
            organization_id, account_id, new, context=operator_context(auth.now())
        )

    made = run(act, data_dir=data_dir, database_url=database_url, missing=_UNKNOWN)
    if as_json:
        print_json(records.CreatedOrganizationApiKey.of_created(made).dump())
        return
    print(made.key)
    note(f"this is the API key {made.api_key.id}; it is not shown again.")


def _set_enabled(
    organization_id: str, account_id: str, *, enabled: bool, data_dir: DataDir, database_url: DatabaseUrl
) -> ServiceAccount:
    from czo_auth.cli.command import operator_context, run
    from czo_auth.core.flows.service_accounts.manage import ServiceAccountChanges

    changes = ServiceAccountChanges(given=frozenset({"enabled"}), enabled=enabled)

    async def act(auth: Auth) -> ServiceAccount:
        return await auth.manage_service_accounts.operate_change(
            organization_id, account_id, changes, context=operator_context(auth.now())
        )

    return run(act, data_dir=data_dir, database_url=database_url, missing=_UNKNOWN)


def _print(account: ServiceAccount, sentence: str, *, as_json: bool) -> None:
    from czo_auth.cli.output import print_json
    from czo_auth.rest import records

    if as_json:
        print_json(records.ServiceAccount.of(account).dump())
    else:
        print(sentence)
