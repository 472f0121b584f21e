"""``czo-auth api-keys``: the keys of all users, for an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from czo_auth.cli.options import AsJson, DatabaseUrl, DataDir, Limit, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from czo_auth.auth import Auth
    from czo_auth.core.api_keys.key import ApiKey
    from czo_auth.core.api_keys.usage import DayUsage
    from czo_auth.core.flows.api_keys.new_key import CreatedApiKey

app = typer.Typer(
    help="Create, list, show, rotate and revoke API keys.", no_args_is_help=True, rich_markup_mode=None
)
_COLUMNS = (
    *("prefix", "name", "organization", "scopes", "enabled", "expires", "last used", "created"),
    *("addresses", "rate limit", "quota", "uses", "id"),
)
KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, not the key.", show_default=False)]
# The id is not repeated: it may be the key itself, typed here by mistake.
_UNKNOWN = "no live API key has this id."


@app.command("list", epilog=examples("czo-auth api-keys list ada@example.com --json"))
def list_keys(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Address of the owner.", show_default=False)],
    unused_since: Annotated[
        str | None,
        typer.Option(
            help="Only keys that were neither used nor made since then: 2026-01-31, or 90d for 90 days ago.",
            show_default=False,
            metavar="TIME",
        ),
    ] = None,
    limit: Limit = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List a user's API keys, newest first. The keys themselves are not stored anywhere."""
    from czo_auth.cli.command import first_rows, run
    from czo_auth.cli.input import since_time
    from czo_auth.cli.output import print_json, print_table
    from czo_auth.rest import records

    async def act(auth: Auth) -> Sequence[ApiKey]:
        user = await auth.administration.find_by_email(email)
        now = auth.now()
        since = since_time(unused_since, now=now)
        return await first_rows(
            lambda page: auth.administration.list_api_keys(user.id, unused_since=since, page=page, now=now),
            limit,
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
                *(key.allowed_ips, _rate(key), _quota(key), key.use_count),
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
    quota: Annotated[
        str,
        typer.Option(
            help="Uses in a day or month (UTC), like 1000/day or 20000/month; by default unlimited.",
            show_default=False,
            metavar="QUOTA",
        ),
    ] = "none",
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Create an API key that acts for a user, with scopes that the user may grant. It is printed once."""
    from datetime import timedelta

    from czo_auth.cli.command import run
    from czo_auth.cli.input import checked_name, read_quota
    from czo_auth.cli.operator import acting_for
    from czo_auth.core.flows.api_keys.new_key import NewApiKey

    new = NewApiKey(
        name=checked_name(name),
        organization_id=organization,
        scopes=tuple(scope or ()),
        expires_in=None if days is None else timedelta(days=days),
        quota=read_quota(quota),
    )

    async def act(auth: Auth) -> CreatedApiKey:
        user = await auth.administration.find_by_email(email)
        return await auth.create_api_keys.create(new, context=await acting_for(auth, user.id))

    made = run(act, data_dir=data_dir, database_url=database_url, missing=f"nobody has the address {email}.")
    _print_once(made, as_json=as_json)


@app.command(epilog=examples("czo-auth api-keys rotate 01983d2e-7c1a-7000-8000-3f1c2b6a9d10 --overlap 3600"))
def rotate(
    key_id: KeyId,
    overlap: Annotated[
        int,
        typer.Option(help="Seconds for which the old key stays valid.", min=0, max=86_400, metavar="SECONDS"),
    ] = 0,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Replace an API key with one that has the same rights. The new key is printed once."""
    from datetime import timedelta

    from czo_auth.cli.command import operator_context, run
    from czo_auth.cli.operator import acting_for

    async def act(auth: Auth) -> CreatedApiKey:
        key = await auth.administration.get_api_key(key_id)
        if key.user_id is None:
            return await auth.service_account_keys.operate_rotate(
                key.organization_id or "",
                key.id,
                overlap=timedelta(seconds=overlap),
                context=operator_context(auth.now()),
            )
        context = await acting_for(auth, key.user_id, actor_type=key.actor_type)
        return await auth.create_api_keys.rotate(key.id, overlap=timedelta(seconds=overlap), context=context)

    _print_once(run(act, data_dir=data_dir, database_url=database_url, missing=_UNKNOWN), as_json=as_json)


def _print_once(made: CreatedApiKey, *, as_json: bool) -> None:
    from czo_auth.cli.command import note
    from czo_auth.cli.output import print_json
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
    from czo_auth.cli.command import operator_context, run
    from czo_auth.cli.output import print_json
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
    """Show an API key, no matter who owns it: its rights, its expiry, and the limits on its use."""
    from czo_auth.cli.command import run
    from czo_auth.cli.output import print_fields, print_json
    from czo_auth.rest import records

    async def act(auth: Auth) -> ApiKey:
        return await auth.administration.get_api_key(key_id)

    key = run(act, data_dir=data_dir, database_url=database_url, missing=_UNKNOWN)
    shaped = records.VerifiedApiKey.of(key).dump()
    if as_json:
        print_json(shaped)
    else:
        print_fields(shaped)


@app.command(
    epilog=examples(
        "czo-auth api-keys quota 01983d2e-7c1a-7000-8000-3f1c2b6a9d10 1000/day",
        "czo-auth api-keys quota 01983d2e-7c1a-7000-8000-3f1c2b6a9d10 none",
    )
)
def quota(
    key_id: KeyId,
    wanted: Annotated[
        str,
        typer.Argument(metavar="QUOTA", help="Like 1000/day or 20000/month, or none.", show_default=False),
    ],
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Set, raise, lower or remove the quota of an API key. Uses so far in the period count."""
    from czo_auth.cli.command import run
    from czo_auth.cli.input import read_quota
    from czo_auth.cli.operator import acting_for
    from czo_auth.cli.output import print_json
    from czo_auth.core.errors import Forbidden
    from czo_auth.core.flows.api_keys.changes import ApiKeyChanges
    from czo_auth.rest import records

    changes = ApiKeyChanges(given=frozenset(), quota=read_quota(wanted))

    async def act(auth: Auth) -> ApiKey:
        key = await auth.administration.get_api_key(key_id)
        if key.user_id is None:
            raise Forbidden("The quota of a service account's key is set when the key is made.")
        context = await acting_for(auth, key.user_id, actor_type=key.actor_type)
        return await auth.manage_api_keys.change(key.id, changes, context=context)

    key = run(act, data_dir=data_dir, database_url=database_url, missing=_UNKNOWN)
    if as_json:
        print_json(records.ApiKey.of(key).dump())
    else:
        print(f"quota of {key.id}: {_quota(key) or 'none'}")


@app.command(
    epilog=examples("czo-auth api-keys usage 01983d2e-7c1a-7000-8000-3f1c2b6a9d10 --from 2026-01-01 --json")
)
def usage(
    key_id: KeyId,
    first: Annotated[
        str | None,
        typer.Option("--from", help="First day; by default the earliest.", show_default=False, metavar="DAY"),
    ] = None,
    last: Annotated[
        str | None,
        typer.Option("--to", help="Last day; by default today.", show_default=False, metavar="DAY"),
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Print how often an API key was used and refused on each day (UTC), oldest first. Days without either are left out;
    400 days are kept.
    """
    from czo_auth.cli.command import run
    from czo_auth.cli.input import read_day
    from czo_auth.cli.output import print_json, print_table
    from czo_auth.rest import records

    since, until = read_day(first, "--from"), read_day(last, "--to")

    async def act(auth: Auth) -> Sequence[DayUsage]:
        return await auth.key_usage.of_any(key_id, first=since, last=until, now=auth.now())

    days = run(act, data_dir=data_dir, database_url=database_url, missing=_UNKNOWN)
    if as_json:
        for day in days:
            print_json(records.DayUsage.of(day).dump())
        return
    print_table(
        ("day", "used", "refused"), ((each.day.isoformat(), each.used, each.refused) for each in days)
    )


def _quota(key: ApiKey) -> str | None:
    return None if key.quota is None else f"{key.quota.maximum}/{key.quota.period}"


def _rate(key: ApiKey) -> str | None:
    limit = key.rate_limit
    return None if limit is None else f"{limit.requests} in {limit.window_seconds} s"
