"""``czo-auth events sinks`` and ``retire-sink``."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.cli.inside import Inside
from tests.cli.shell import Shell

MINUTE = timedelta(minutes=1)


def serve(inside: Inside, sink: str, *, ended: bool) -> None:
    """Serve a sink without delivering anything to it; *ended* says whether the server is gone."""

    async def act(auth) -> None:  # type: ignore[no-untyped-def]
        now = auth.now()
        until = now - MINUTE if ended else now + 60 * MINUTE
        await auth.services.transactions.run(
            lambda tx: tx.outbox.claim_sink(sink, owner="somebody", until=until, now=now)
        )

    inside.run(act)


@pytest.mark.deep
def test_sink_that_is_gone_is_listed_and_retired(shell: Shell, inside: Inside) -> None:
    shell.create("ada@example.com")
    serve(inside, "old-shipper", ended=True)
    serve(inside, "json-lines", ended=False)
    listed = {line["name"]: line for line in shell.json("events", "sinks")}
    assert listed["old-shipper"]["waiting"] >= 1
    assert listed["old-shipper"]["since"] is not None
    assert "old-shipper" in shell.run("events", "sinks").stdout

    assert "there is no such sink" in shell.run("events", "retire-sink", "nobody", code=1).stderr
    assert "a server serves this sink" in shell.run("events", "retire-sink", "json-lines", code=1).stderr
    shell.run("events", "retire-sink", "old-shipper")
    assert {line["name"] for line in shell.json("events", "sinks")} == set(listed) - {"old-shipper"}
    shell.run("events", "retire-sink", "old-shipper", code=1)
    retired = [one for one in shell.json("audit", "tail") if one["action"] == "auth.events.sink_retired"]
    assert [one["details"] for one in retired] == [{"sink": "old-shipper"}]
