"""``czo-auth events`` and ``czo-auth audit``: what was recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar

import typer

from czo_auth.cli.options import AsJson, DatabaseUrl, DataDir, Limit, NewestLimit, OfUser, Since, examples

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from czo_auth.auth import Auth
    from czo_auth.core.events.types import AuditRecord, Event
    from czo_auth.core.flows.administration.audit import ChainVerdict, ReadAuditLog

    R = TypeVar("R", Event, AuditRecord)
    _Read: TypeAlias = Callable[[int], AsyncIterator[Sequence[R]]]

events_app = typer.Typer(help="Read the events.", no_args_is_help=True, rich_markup_mode=None)
audit_app = typer.Typer(help="Read and check the audit log.", no_args_is_help=True, rich_markup_mode=None)
_FOLLOW_SECONDS = 0.5
_PAGE = 500

Follow: TypeAlias = Annotated[
    bool, typer.Option("--follow", "-f", help="Keep printing new ones; Ctrl-C ends it.")
]


@events_app.command(
    "tail",
    epilog=examples("czo-auth events tail --json --follow", "czo-auth events tail --since 12h --limit 20"),
)
def tail_events(
    user: OfUser = None,
    since: Since = None,
    limit: NewestLimit = None,
    as_json: AsJson = False,
    follow: Follow = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print the stored events, oldest first; as CloudEvents with --json."""
    from czo_auth.core.events.cloudevents import to_cloudevent
    from czo_auth.core.events.types import EventFilter

    def shape(auth: Auth, event: Event) -> dict[str, object]:
        return to_cloudevent(event, source=auth.settings.public_url)

    def cells(event: Event) -> tuple[object, ...]:
        return event.at, event.type, event.user_id, json.dumps(dict(event.data))

    async def begin(audit_log: ReadAuditLog, wanted: _Wanted) -> tuple[_Read[Event], int]:
        matching = EventFilter(user_id=wanted.user_id, since=wanted.since)
        after = 0 if limit is None else await audit_log.before_newest_events(limit, matching=matching)
        return (lambda after: audit_log.events(after, matching=matching)), after

    _tail(
        begin,
        shape if as_json else None,
        ("at", "type", "user", "data"),
        cells,
        user=user,
        since=since,
        follow=follow,
        data_dir=data_dir,
        database_url=database_url,
    )


@events_app.command("dead-letters", epilog=examples("czo-auth events dead-letters --json"))
def list_dead_letters(
    sink: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only those of this sink or subscriber.", show_default=False),
    ] = None,
    limit: Limit = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List the events that a sink or a subscriber refused permanently; they are kept for 90 days."""
    from czo_auth.asgi.timestamps import format_timestamp
    from czo_auth.cli.command import run
    from czo_auth.cli.output import print_json, print_line
    from czo_auth.core.events.cloudevents import to_cloudevent

    async def act(auth: Auth) -> None:
        if not as_json:
            print_line(("at", "sink", "type", "id", "replay", "error"))
        after, left = (0, ""), limit
        while left != 0 and (
            page := await auth.dead_letters.list(
                sink=sink, after=after, limit=_PAGE if left is None else min(left, _PAGE)
            )
        ):
            left = None if left is None else left - len(page)
            after = (page[-1].event.sequence, page[-1].sink)
            for letter in page:
                at, event = format_timestamp(letter.dead_lettered_at), letter.event
                replay = letter.replay_at and format_timestamp(letter.replay_at)
                if as_json:
                    cloudevent = to_cloudevent(event, source=auth.settings.public_url)
                    shape = {"sink": letter.sink, "error": letter.error, "deadLetteredAt": at}
                    print_json({**shape, "replayAt": replay, "event": cloudevent})
                else:
                    print_line((at, letter.sink, event.type, event.id, replay, letter.error))

    run(act, data_dir=data_dir, database_url=database_url)


@events_app.command("replay", epilog=examples("czo-auth events replay --all"))
def replay_events(
    event_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="The event's id.", show_default=False)
    ] = None,
    sink: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Those of this sink or subscriber.", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Deliver dead-lettered events again. The server that serves the sink does so within a second.

    An event that is accepted is no longer a dead letter; one that is refused again stays one.
    """
    from czo_auth.cli.command import CANNOT_START, REFUSED, fail, operator_context, run

    if not (event_id or sink or every):
        fail("name an event, a sink, or --all.", CANNOT_START)

    async def act(auth: Auth) -> int:
        return await auth.dead_letters.replay(
            sink=sink, event_id=event_id, context=operator_context(auth.now())
        )

    count = run(act, data_dir=data_dir, database_url=database_url)
    if not count:
        fail("there is no such dead letter.", REFUSED)
    print(f"{count} dead-lettered {'event is' if count == 1 else 'events are'} queued for delivery")


@audit_app.command(
    "tail",
    epilog=examples(
        "czo-auth audit tail --json | grep auth.sign_in",
        "czo-auth audit tail --user ada@example.com --since 7d --limit 50",
    ),
)
def tail_audit(
    user: OfUser = None,
    since: Since = None,
    limit: NewestLimit = None,
    as_json: AsJson = False,
    follow: Follow = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print the audit log, oldest first."""
    from czo_auth.core.events.types import AuditFilter
    from czo_auth.rest import records

    def shape(auth: Auth, record: AuditRecord) -> dict[str, object]:
        return records.AuditRecord.of(record).dump()

    def cells(record: AuditRecord) -> tuple[object, ...]:
        audit_event, by = record.audit_event, record.context
        who = (by.actor_kind, by.user_id, by.method, by.ip)
        return (
            *(record.at, audit_event.action, audit_event.outcome, audit_event.user_id),
            *(who, json.dumps(dict(audit_event.details))),
        )

    async def begin(audit_log: ReadAuditLog, wanted: _Wanted) -> tuple[_Read[AuditRecord], int]:
        matching = AuditFilter(person=wanted.user_id, since=wanted.since)
        after = 0 if limit is None else await audit_log.before_newest_records(limit, matching=matching)
        return (lambda after: audit_log.audit(after, matching=matching)), after

    _tail(
        begin,
        shape if as_json else None,
        ("at", "action", "outcome", "user", "by", "details"),
        cells,
        user=user,
        since=since,
        follow=follow,
        data_dir=data_dir,
        database_url=database_url,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A filter by user and time; None means any."""

    user_id: str | None
    since: datetime | None


def _tail(
    begin: Callable[[ReadAuditLog, _Wanted], Awaitable[tuple[_Read[R], int]]],
    shape: Callable[[Auth, R], dict[str, object]] | None,
    columns: Sequence[str],
    cells: Callable[[R], tuple[object, ...]],
    *,
    user: str | None,
    since: str | None,
    follow: bool,
    data_dir: Path | None,
    database_url: str | None,
) -> None:
    """Print what *begin* finds to read, and after which sequence: JSON lines by *shape*, or *cells* under *columns*."""
    import asyncio
    import signal
    import sys

    from czo_auth.cli.command import run
    from czo_auth.cli.input import since_time, user_id_of
    from czo_auth.cli.output import print_json, print_line
    from czo_auth.cli.users import nobody

    async def act(auth: Auth) -> None:
        from czo_auth.core.flows.administration.audit import ReadAuditLog

        wanted = _Wanted(user_id=await user_id_of(auth, user), since=since_time(since, now=auth.now()))
        read, last = await begin(ReadAuditLog(auth.services), wanted)
        if shape is None:
            print_line(columns)
        while True:
            async for batch in read(last):
                last = batch[-1].sequence
                for record in batch:
                    if shape is None:
                        print_line(cells(record))
                    else:
                        print_json(shape(auth, record))
            sys.stdout.flush()
            if not follow:
                return
            await asyncio.sleep(_FOLLOW_SECONDS)

    if follow:
        # A supervisor ends it as Ctrl-C does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(act, data_dir=data_dir, database_url=database_url, missing=user and nobody(user))
    except KeyboardInterrupt:
        if not follow:
            raise


@audit_app.command(epilog=examples("czo-auth audit verify && echo whole"))
def verify(as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """
    Check that no record of the audit log was changed, moved or removed.

    Addresses, browsers and names may be missing where retention or the deletion of a user removed them. Removing the
    newest records leaves no trace: keep the last hash elsewhere to notice that.
    """
    from czo_auth.cli.command import REFUSED, fail, run
    from czo_auth.cli.output import print_json, progress
    from czo_auth.core.flows.administration.audit import ReadAuditLog

    async def act(auth: Auth) -> ChainVerdict:
        with progress("following the chain") as advance:
            return await ReadAuditLog(auth.services).verify_audit(advance)

    verdict = run(act, data_dir=data_dir, database_url=database_url)
    if as_json:
        print_json(
            {
                "whole": verdict.broken_at is None,
                "records": verdict.records,
                "brokenAt": verdict.broken_at,
                "lastHash": verdict.last_hash,
                "cutThrough": verdict.cut_through,
            }
        )
    elif verdict.broken_at is None:
        counted = "1 record" if verdict.records == 1 else f"{verdict.records} records"
        print(f"the audit log is whole: {counted}, the last hash is {verdict.last_hash}")
        if verdict.cut_through:
            print(f"records up to sequence {verdict.cut_through} were removed by retention")
    if verdict.broken_at is not None:
        fail(f"the audit log is broken at sequence {verdict.broken_at}.", REFUSED)
