"""``czo-auth api-keys``: anybody's keys, seen by an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from czo_auth.cli.options import AsJson, DatabaseUrl, DataDir, Limit, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from czo_auth.auth import Auth
    from czo_auth.core.api_keys.key import ApiKey
    from czo_auth.core.flows.api_keys.manage import CreatedApiKey

app = typer.Typer(
    help="Create, list, show, rotate and revoke API keys.", no_args_is_help=True, rich_markup_mode=None
)
_COLUMNS = (
    *("prefix", "name", "organization", "scopes", "enabled", "expires", "last used", "created"),
    *("addresses", "rate limit", "id"),
)
KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, not the key.", show_default=False)]
# The id is not repeated: it may be the key itself, typed here by mistake.
_UNKNOWN = "no API key that lives has this id."


@app.command("list", epilog=examples("czo-auth api-keys list ada@example.com --json"))
def list_keys(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Address of the owner.", show_default=False)],
    limit: Limit = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List a user's API keys, newest first. The keys themselves are not stored anywhere."""
    from czo_auth.cli.output import print_json, print_table
    from czo_auth.cli.session import first_rows, run
    from czo_auth.rest import records

    async def act(auth: Auth) -> Sequence[ApiKey]:
        user = await auth.administration.find_by_email(email)
        return await first_rows(
            lambda page: auth.administration.list_api_keys(user.id, page=page, now=auth.now()), limit
        )

    keys = run(
        act,
        data_dir=data_dir,
        database_url=database_url,
        missing=f"nobody has the address {email}.",
    )
    if as_json:
        for key in keys:
            print_json(records.ApiKey.of(key).dump())
        return
    print_table(
        _COLUMNS,
        (
            (
                *(key.prefix, key.name, key.organization_id, key.scopes, key.enabled),
                *(key.expires_at, key.last_used_at, key.created_at),
                *(key.allowed_ips, _rate(key)),
                key.id,
            )
            for key in keys
        ),
    )


@app.command(
    epilog=examples(
        "czo-auth api-keys create ada@example.com --name deploy --scope orders:read --days 90",
        "czo-auth api-keys create ada@example.com --name ci --organization 01983d2e-7c1a-7000-8000-3f1c2b6a9d10",
    )
)
def create(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Address of the owner.", show_default=False)],
    name: Annotated[str, typer.Option(metavar="NAME", help="Name that is shown.", show_default=False)],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="Scope, `resource:action`; may be repeated.", show_default=False, metavar="SCOPE"),
    ] = None,
    organization: Annotated[
        str | None,
        typer.Option(help="Id of the organization that it acts in.", show_default=False, metavar="ID"),
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(help="Days until it expires; by default it does not.", min=1, show_default=False),
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Create an API key that acts for a user, with scopes that the user may grant. It is printed once."""
    from datetime import timedelta

    from czo_auth.cli.input import checked_name
    from czo_auth.cli.operator import acting_for
    from czo_auth.cli.session import run
    from czo_auth.core.flows.api_keys.manage import NewApiKey

    new = NewApiKey(
        name=checked_name(name),
        organization_id=organization,
        scopes=tuple(scope or ()),
        expires_in=None if days is None else timedelta(days=days),
    )

    async def act(auth: Auth) -> CreatedApiKey:
        user = await auth.administration.find_by_email(email)
        return await auth.manage_api_keys.create(new, context=await acting_for(auth, user.id))

    made = run(act, data_dir=data_dir, database_url=database_url, missing=f"nobody has the address {email}.")
    _print_once(made, as_json=as_json)


@app.command(epilog=examples("czo-auth api-keys rotate 01983d2e-7c1a-7000-8000-3f1c2b6a9d10 --overlap 3600"))
def rotate(
    key_id: KeyId,
    overlap: Annotated[
        int, typer.Option(help="Seconds for which the old key goes on.", min=0, max=86_400, metavar="SECONDS")
    ] = 0,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Replace an API key by one with the same rights. The new one is printed once."""
    from datetime import timedelta

    from czo_auth.cli.operator import acting_for
    from czo_auth.cli.session import run

    async def act(auth: Auth) -> CreatedApiKey:
        key = await auth.administration.get_api_key(key_id)
        context = await acting_for(auth, key.user_id, actor_type=key.actor_type)
        return await auth.manage_api_keys.rotate(key.id, overlap=timedelta(seconds=overlap), context=context)

    _print_once(run(act, data_dir=data_dir, database_url=database_url, missing=_UNKNOWN), as_json=as_json)


def _print_once(made: CreatedApiKey, *, as_json: bool) -> None:
    from czo_auth.cli.output import print_json
    from czo_auth.cli.session import note
    from czo_auth.rest import records

    if as_json:
        print_json(records.CreatedApiKey.of_created(made).dump())
        return
    print(made.key)
    note(f"this is the API key {made.api_key.id}; it is not shown again.")


@app.command(epilog=examples("czo-auth api-keys revoke 01983d2e-7c1a-7000-8000-3f1c2b6a9d10"))
def revoke(
    key_id: KeyId,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Revoke an API key, no matter who owns it. It is refused at its next request, in every process."""
    from czo_auth.cli.output import print_json
    from czo_auth.cli.session import operator_context, run
    from czo_auth.core.text import escape_control
    from czo_auth.rest import records

    async def act(auth: Auth) -> ApiKey:
        return await auth.administration.revoke_api_key(key_id, context=operator_context(auth.now()))

    key = run(act, data_dir=data_dir, database_url=database_url, missing=_UNKNOWN)
    if as_json:
        print_json(records.ApiKey.of(key).dump())
    else:
        print(escape_control(f"revoked {key.prefix}… “{key.name}” {key.id}", limit=1024))


@app.command(epilog=examples("czo-auth api-keys show 01983d2e-7c1a-7000-8000-3f1c2b6a9d10"))
def show(
    key_id: KeyId,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show an API key, no matter who owns it: its rights, its end, and what limits its use."""
    from czo_auth.cli.output import print_fields, print_json
    from czo_auth.cli.session import run
    from czo_auth.rest import records

    async def act(auth: Auth) -> ApiKey:
        return await auth.administration.get_api_key(key_id)

    key = run(act, data_dir=data_dir, database_url=database_url, missing=_UNKNOWN)
    shaped = records.VerifiedApiKey.of(key).dump()
    if as_json:
        print_json(shaped)
    else:
        print_fields(shaped)


def _rate(key: ApiKey) -> str | None:
    limit = key.rate_limit
    return None if limit is None else f"{limit.requests} in {limit.window_seconds} s"
