"""``czo-auth events sinks`` and ``retire-sink``: list the sinks of events, and retire one that is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from czo_auth.cli.options import AsJson, DatabaseUrl, DataDir, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from czo_auth.auth import Auth
    from czo_auth.core.events.outbox import SinkState

LIST_EXAMPLE = examples("czo-auth events sinks --json")
RETIRE_EXAMPLE = examples("czo-auth events retire-sink json-lines")
_COLUMNS = ("name", "waiting", "since", "served until", "dead letters")


def list_sinks(as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """List the sinks that events go to, and how many wait for each."""
    from czo_auth.asgi.timestamps import format_timestamp_or_none
    from czo_auth.cli.command import run
    from czo_auth.cli.output import print_json, print_table

    async def act(auth: Auth) -> Sequence[SinkState]:
        return await auth.manage_sinks.list()

    found = run(act, data_dir=data_dir, database_url=database_url)
    if not as_json:
        rows = (
            (sink.name, sink.behind, sink.oldest_waiting_at, sink.leased_until, sink.dead_lettered)
            for sink in found
        )
        print_table(_COLUMNS, rows)
        return
    for sink in found:
        shaped: dict[str, object] = {"name": sink.name, "waiting": sink.behind}
        shaped["since"] = format_timestamp_or_none(sink.oldest_waiting_at)
        shaped["servedUntil"] = format_timestamp_or_none(sink.leased_until)
        print_json({**shaped, "deadLetters": sink.dead_lettered})


def retire_sink(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sink's name.", show_default=False)],
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Forget a sink that is gone, so that events no longer wait for it.

    Without this they wait for 90 days. A sink that a server serves is refused: take it out of the configuration first.
    """
    from czo_auth.cli.command import REFUSED, fail, operator_context, run
    from czo_auth.core.errors import Conflict

    async def act(auth: Auth) -> bool:
        try:
            await auth.manage_sinks.retire(name, context=operator_context(auth.now()))
        except Conflict:
            return False
        return True

    retired = run(act, data_dir=data_dir, database_url=database_url, missing="there is no such sink.")
    if not retired:
        fail("a server serves this sink. Take it out of its configuration first.", REFUSED)
    print("events no longer wait for this sink")
