"""The last part: what the other parts recorded, and that it contains no secret."""

from __future__ import annotations

import json
from collections.abc import Iterable

from czo_auth.cli.demo.client import same
from czo_auth.cli.demo.printer import Mismatch
from czo_auth.cli.demo.users import DemoRun, Person


def check_recorded(demo_run: DemoRun, names: dict[str, str], ada: Person) -> None:
    """
    Check the events and the audit log of this run, and search all output for secrets.

    Args:
        names: People by their ids.
    """
    printer = demo_run.printer
    printer.heading("What all this wrote")
    printed = demo_run.server.command("events", "tail", "--json")
    events = [json.loads(line) for line in printed.splitlines()]
    for event in events:
        data = event["data"]
        more = " ".join(str(data[name]) for name in ("prefix", "method", "reason", "name") if name in data)
        printer.say(
            f"      {event['time']}  {event['type']:<28} {names.get(event.get('subject', ''), ''):<5} {more}",
            "dim",
        )
    own = [event["type"] for event in events if event.get("subject") == ada.id]
    _in_order(
        own,
        (
            *(
                "auth.user.registered",
                "auth.session.created",
                "auth.2fa.enabled",
                "auth.2fa.backup_code_used",
            ),
            *("auth.apikey.created", "auth.apikey.revoked", "auth.2fa.disabled"),
        ),
    )
    for other in ("auth.org.created", "auth.session.revoked"):
        if other not in {event["type"] for event in events}:
            raise Mismatch(f"an event {other}", "none")
    printer.step(
        "reads the events, as CloudEvents",
        "czo-auth events tail --json",
        f"{len(events)} events, Ada’s in order",
    )

    audit = demo_run.server.command("audit", "tail", "--json")
    verdict = json.loads(demo_run.server.command("audit", "verify", "--json"))
    same("first broken record", None, verdict["brokenAt"])
    same("records", len(audit.splitlines()), verdict["records"])
    printer.step(
        "checks the audit log’s chain",
        "czo-auth audit verify",
        f"{verdict['records']} records, complete",
    )

    written = f"{printed}\n{audit}\n{demo_run.server.output()}"
    found = sum(secret in written for secret in printer.secrets)
    same("secrets in events, audit log and server output", 0, found)
    printer.step("searches all output for secrets", "", f"none of {len(printer.secrets)} found")


def _in_order(got: Iterable[str], wanted: Iterable[str]) -> None:
    """Check that the *wanted* come in this order, with anything between them."""
    rest = iter(got)
    for event in wanted:
        if event not in rest:
            raise Mismatch(f"an event {event} in its place", "none")
