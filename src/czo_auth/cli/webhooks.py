"""``czo-auth webhooks``: all webhook endpoints, for an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from czo_auth.cli.options import AsJson, DatabaseUrl, DataDir, Limit, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from czo_auth.auth import Auth
    from czo_auth.core.webhooks.webhook import Webhook

app = typer.Typer(help="List and disable webhook endpoints.", no_args_is_help=True, rich_markup_mode=None)
_COLUMNS = ("id", "organization", "host", "events", "enabled", "failing since", "dead since", "created")
WebhookId = Annotated[str, typer.Argument(metavar="ID", help="The endpoint's id.", show_default=False)]


@app.command("list", epilog=examples("czo-auth webhooks list --json"))
def list_webhooks(
    limit: Limit = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List every webhook endpoint, oldest first. Its whole address is shown with --json only."""
    from czo_auth.cli.command import run
    from czo_auth.cli.output import print_json, print_table
    from czo_auth.core.webhooks.destination import host_of
    from czo_auth.rest import records

    async def act(auth: Auth) -> Sequence[Webhook]:
        return await auth.operate_webhooks.list_all()

    found = run(act, data_dir=data_dir, database_url=database_url)[:limit]
    if as_json:
        for each in found:
            print_json(records.OperatorWebhook.of(each).dump())
        return
    print_table(
        _COLUMNS,
        (
            (
                *(each.id, each.organization_id, host_of(each.url), each.events, each.enabled),
                *(each.failing_since, each.dead_since, each.created_at),
            )
            for each in found
        ),
    )


@app.command(epilog=examples("czo-auth webhooks disable 01983d2e-7c1a-7000-8000-3f1c2b6a9d10"))
def disable(
    webhook_id: WebhookId,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Disable a webhook endpoint, no matter who owns it. Its owner may enable it again."""
    from czo_auth.cli.command import operator_context, run
    from czo_auth.cli.output import print_json
    from czo_auth.core.text import escape_control
    from czo_auth.core.webhooks.destination import host_of
    from czo_auth.rest import records

    async def act(auth: Auth) -> Webhook:
        return await auth.operate_webhooks.disable(webhook_id, context=operator_context(auth.now()))

    found = run(act, data_dir=data_dir, database_url=database_url, missing="no webhook endpoint has this id.")
    if as_json:
        print_json(records.OperatorWebhook.of(found).dump())
    else:
        print(escape_control(f"disabled {found.id} ({host_of(found.url)})", limit=512))
