"""``czo-auth events dead-letters`` and ``replay``, beside a server that delivers."""

from __future__ import annotations

import json
import time

import pytest

from czo_auth.core.events.types import Event
from tests.cli.inside import Inside
from tests.cli.shell import Shell

pytestmark = pytest.mark.deep


def put_dead_letters(inside: Inside) -> list[Event]:
    """Put the events that are there aside, as a sink of a file would have refused them."""

    async def act(auth) -> list[Event]:  # type: ignore[no-untyped-def]
        found = list(await auth.services.transactions.read(lambda tx: tx.outbox.events_after(0, limit=10)))
        for event in found:
            await auth.services.transactions.run(
                lambda tx, event=event: tx.outbox.dead_letter(
                    "json-lines", event, error="disk", now=auth.now()
                )
            )
        return found

    return inside.run(act)


def test_dead_letters_are_listed_and_replayed(shell: Shell, inside: Inside) -> None:
    shell.create("ada@example.com")
    shell.create("bo@example.com")
    first, second = put_dead_letters(inside)
    listed = shell.json("events", "dead-letters")
    assert [line["event"]["id"] for line in listed] == [first.id, second.id]
    assert {line["sink"] for line in listed} == {"json-lines"}
    assert {line["error"] for line in listed} == {"disk"}
    assert shell.json("events", "dead-letters", "--sink", "other") == []
    assert first.id in shell.run("events", "dead-letters").stdout

    assert "name an event" in shell.run("events", "replay", code=2).stderr
    assert "no such dead letter" in shell.run("events", "replay", "nothing", code=1).stderr
    assert "1 dead-lettered event is" in shell.run("events", "replay", first.id).stdout
    assert "1 dead-lettered event is" in shell.run("events", "replay", "--all").stdout
    assert all(line["replayAt"] for line in shell.json("events", "dead-letters"))
    actions = [record["action"] for record in shell.json("audit", "tail")]
    assert actions.count("auth.events.replayed") == 2


def test_server_delivers_what_is_replayed(shell: Shell, inside: Inside) -> None:
    from tests.cli.test_serve import read_until_ready, serving

    shell.create("ada@example.com")
    (event,) = put_dead_letters(inside)
    file = shell.data.parent / "events.jsonl"
    shell.env["CZO_AUTH_EVENTS_FILE"] = str(file)
    shell.run("events", "replay", "--all")
    with serving(shell) as process:
        read_until_ready(process)
        give_up_at = time.monotonic() + 30
        while shell.json("events", "dead-letters"):
            assert time.monotonic() < give_up_at
        ids = [json.loads(line)["id"] for line in file.read_text().splitlines()]
    assert event.id in ids
