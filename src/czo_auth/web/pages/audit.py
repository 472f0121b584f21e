"""Administration: the audit log with its exports, and the events."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial

from starlette.responses import Response, StreamingResponse

from czo_auth.asgi.long_lists import in_turns, stream_json
from czo_auth.asgi.timestamps import format_timestamp
from czo_auth.core.access import ADMINISTRATION
from czo_auth.core.errors import NotFound, Refusal, ValidationFailed
from czo_auth.core.events.types import (
    ACTIONS,
    EVENT_TYPES,
    OUTCOMES,
    AuditFilter,
    AuditRecord,
)
from czo_auth.core.limits import MAX_EMAIL, MAX_ID
from czo_auth.core.users.user import User
from czo_auth.web.routing import PageRequest, Pages

_LOG = logging.getLogger("czo_auth")
pages = Pages()
PAGE = 30
_BATCH = 500
FILTERS = ("user", "action", "outcome", "since", "until")
COLUMNS = (
    "id",
    "at",
    "action",
    "outcome",
    "actorKind",
    "actorUserId",
    "userId",
    "organizationId",
    "method",
    "ip",
    "userAgent",
    "requestId",
    "details",
)


@pages.get("/admin/audit", access=ADMINISTRATION)
async def audit(page: PageRequest) -> Response:
    """Show the audit log page by page, newest first."""
    return await page.show_list(
        "admin_audit.html",
        partial(_records, page),
        filters=FILTERS,
        outcomes=OUTCOMES,
        actions=sorted(ACTIONS),
        fetches=True,
    )


async def _records(page: PageRequest) -> dict[str, object]:
    matching, older, newer = await _filter(page), page.sequence("cursor"), page.sequence("newer")
    administration = page.call.runtime.administration
    # One more record than is shown tells whether there is a next page.
    found, total = await administration.audit(
        matching, before=older, above=newer, limit=PAGE + 1, counts_all=False
    )
    goes_on = len(found) > PAGE
    if newer is None:
        records, has_older, has_newer = found[:PAGE], goes_on, older is not None
    else:
        records, has_older, has_newer = found[-PAGE:], True, goes_on
    return {
        "records": records,
        "total": total,
        "older": records[-1].sequence if records and has_older else None,
        "newer": records[0].sequence if records and has_newer else None,
        "is_newest": not has_newer,
        "filters": page.filters(*FILTERS),
        "people": await _people(page, records),
    }


@pages.get("/admin/audit.csv", access=ADMINISTRATION)
async def audit_csv(page: PageRequest) -> Response:
    """Export all matching records as CSV, newest first."""
    return _download(page, _csv(await _export(page)), "text/csv; charset=utf-8", "audit.csv")


@pages.get("/admin/audit.json", access=ADMINISTRATION)
async def audit_json(page: PageRequest) -> Response:
    """Export all matching records as JSON, newest first."""
    return _download(page, _json(await _export(page)), "application/json", "audit.json")


@pages.get("/admin/events", access=ADMINISTRATION)
async def events(page: PageRequest) -> Response:
    """List the events that are still stored, newest first."""
    return await page.show_list(
        "admin_events.html",
        partial(_events, page),
        filters=("type",),
        dead_letters=await page.call.runtime.dead_letters.list(limit=PAGE),
        types=sorted(EVENT_TYPES),
        fetches=True,
    )


async def _events(page: PageRequest) -> dict[str, object]:
    older = page.sequence("cursor")
    # One more record than is shown tells whether there is a next page.
    more = await page.call.runtime.administration.events(
        event_type=page.query.optional("type", max_length=MAX_ID), before=older, limit=PAGE + 1
    )
    found = more[:PAGE]
    people = {event.user_id for event in found} - {None}
    return {
        "events": [(event, json.dumps(dict(event.data), ensure_ascii=False)) for event in found],
        "people": await page.call.runtime.administration.get_many([each for each in people if each]),
        "older": found[-1].sequence if len(more) > PAGE else None,
    }


@pages.post("/admin/events/replay", access=ADMINISTRATION, again=events)
async def replay(page: PageRequest) -> Response:
    """Deliver one dead-lettered event to its sink again."""
    call = page.call
    await call.runtime.dead_letters.replay(
        sink=page.form.text("sink", max_length=300),
        event_id=page.form.text("event", max_length=64),
        context=call.context,
    )
    return page.redirect("/admin/events", done="event_replayed")


async def _people(page: PageRequest, records: Sequence[AuditRecord]) -> Mapping[str, User]:
    """Return the actors and subjects of the records on the page, by id, without deleted users."""
    ids = {record.context.user_id for record in records} | {record.audit_event.user_id for record in records}
    return await page.call.runtime.administration.get_many([each for each in ids if each is not None])


async def _person(page: PageRequest) -> str | None:
    """
    Read the user by whom the audit log is filtered: an address or an id.

    Raises:
        ValidationFailed: Nobody has the address.
    """
    text = page.query.optional("user", max_length=MAX_EMAIL)
    if text is None or "@" not in text:
        return text
    try:
        return (await page.call.runtime.administration.find_by_email(text)).id
    except (NotFound, ValidationFailed):
        raise ValidationFailed(details=(("user", "No account has this address."),)) from None


async def _filter(page: PageRequest) -> AuditFilter:
    """
    Read the filter of the audit log.

    Raises:
        ValidationFailed: A time or an outcome is not valid, or nobody has the address.
    """
    query = page.query
    return AuditFilter(
        person=await _person(page),
        action=query.optional("action", max_length=MAX_ID),
        outcome=query.choice("outcome", OUTCOMES),
        since=query.moment("since"),
        until=query.moment("until"),
    )


Rows = Sequence[dict[str, object]]
INCOMPLETE = "INCOMPLETE: the export broke off here. Download it again."
"""The last row of a CSV file that lacks records."""


async def _export(page: PageRequest) -> AsyncIterator[Rows]:
    """
    Return the rows of all matching records, newest first, batch by batch as they are sent.

    The first batch is read here, so a request that fails gets an error page.
    """
    matching = await _filter(page)
    first = await _batch(page, matching, before=None)

    async def batches() -> AsyncIterator[Rows]:
        batch = first
        while batch:
            yield [_row_of(record) async for record in in_turns(batch)]
            if len(batch) < _BATCH:
                break
            # A slow download may outlive the session, or the rights of its user.
            await page.admit_again(ADMINISTRATION)
            batch = await _batch(page, matching, before=batch[-1].sequence)

    return batches()


async def _batch(page: PageRequest, matching: AuditFilter, *, before: int | None) -> Sequence[AuditRecord]:
    return await page.call.runtime.administration.audit_batch(matching, before=before, limit=_BATCH)


async def _csv(batches: AsyncIterator[Rows]) -> AsyncIterator[str]:
    """Write *batches* as CSV. If one fails, the last row says so: servers end the answer as if it were whole."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    try:
        async for batch in batches:
            async for row in in_turns(batch):
                writer.writerow([_cell(row[column]) for column in COLUMNS])
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    except Refusal as refusal:
        _note_incomplete(refusal)
        writer.writerow([INCOMPLETE])
    except Exception:
        yield f"{INCOMPLETE}\r\n"
        raise
    yield out.getvalue()


async def _json(batches: AsyncIterator[Rows]) -> AsyncIterator[bytes]:
    """Write *batches* as JSON. If one fails, the text ends before the list does, so nobody takes it for the whole."""
    try:
        async for part in stream_json("audit", batches):
            yield part
    except Refusal as refusal:
        _note_incomplete(refusal)


def _note_incomplete(refusal: Refusal) -> None:
    _LOG.warning("an export of the audit log is incomplete: %s", refusal)


def _row_of(record: AuditRecord) -> dict[str, object]:
    who = record.context
    return {
        "id": record.id,
        "at": format_timestamp(record.at),
        "action": record.audit_event.action,
        "outcome": record.audit_event.outcome,
        "actorKind": who.actor_kind,
        "actorUserId": who.user_id,
        "userId": record.audit_event.user_id,
        "organizationId": record.audit_event.organization_id,
        "method": who.method,
        "ip": who.ip,
        "userAgent": who.user_agent,
        "requestId": who.request_id,
        "details": dict(record.audit_event.details),
    }


def _cell(value: object) -> str:
    """Format a value for a spreadsheet, so that user input is not interpreted as a formula."""
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
    return f"'{text}" if re.match(r"[=+\-@\t\r]", text) else text


def _download(
    page: PageRequest, parts: AsyncIterator[str] | AsyncIterator[bytes], media_type: str, name: str
) -> Response:
    if page.request.method == "HEAD":
        # Servers would read all parts, and throw them away.
        response = Response(media_type=media_type)
        del response.headers["content-length"]
    else:
        response = StreamingResponse(parts, media_type=media_type)
    response.headers["content-disposition"] = f'attachment; filename="{name}"'
    return page.renderer.guarded(response, has_query=True)
