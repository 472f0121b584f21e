"""``czo-auth events`` and ``czo-auth audit``."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from contextlib import closing

import pytest

from czo_auth.settings import DATABASE_FILE
from tests.cli.shell import PASSWORD, PROGRAM, Shell

AUDIT_FIELDS = {
    *("id", "at", "action", "outcome", "actorKind", "userId", "organizationId"),
    *("method", "ip", "userAgent", "requestId", "details"),
}


def test_events_are_cloudevents_oldest_first(shell: Shell) -> None:
    people = [shell.create(f"user{number}@example.com") for number in range(3)]
    shell.run("users", "grant", "user0@example.com", "--actor-type", "merchant")
    events = shell.json("events", "tail")
    assert [(event["type"], event["subject"]) for event in events] == [
        *(("auth.user.registered", person["id"]) for person in people),
        ("auth.role.changed", people[0]["id"]),
    ]
    for event in events:
        assert event["specversion"] == "1.0"
        assert event["data"]["userId"] == event["subject"]
    assert [event["sequence"] for event in events] == sorted(event["sequence"] for event in events)
    lines = shell.run("events", "tail").stdout.splitlines()
    assert lines[0] == "at\ttype\tuser\tdata"
    assert len(lines) == 1 + len(events)


@pytest.mark.deep
@pytest.mark.parametrize("log", ["events", "audit"])
def test_logs_are_narrowed_by_user_time_and_number(shell: Shell, log: str) -> None:
    ada, bob = (shell.create(f"{name}@example.com") for name in ("ada", "bob"))
    shell.run("users", "grant", "ada@example.com", "--actor-type", "merchant")
    assert len(shell.json(log, "tail")) == 3
    for user in ("ada@example.com", ada["id"]):
        found = shell.json(log, "tail", "--user", user)
        assert [each.get("type", each.get("action")) for each in found] == [
            *("auth.user.registered", "auth.role.changed")
        ]
    assert [each.get("subject", each.get("userId")) for each in shell.json(log, "tail", "--limit", "2")] == [
        *(bob["id"], ada["id"])
    ]
    assert len(shell.json(log, "tail", "--since", "1h")) == 3
    assert shell.json(log, "tail", "--since", "2999-01-31") == []
    assert "nobody@example.com" in shell.run(log, "tail", "--user", "nobody@example.com", code=1).stderr
    assert "--since" in shell.run(log, "tail", "--since", "yesterday", code=2).stderr


def test_audit_log_has_the_fields_of_the_contract(shell: Shell) -> None:
    user = shell.create("ada@example.com")
    (record,) = shell.json("audit", "tail")
    assert set(record) >= AUDIT_FIELDS
    assert (record["action"], record["outcome"]) == ("auth.user.registered", "success")
    assert (record["actorKind"], record["method"], record["userId"]) == ("operator", "cli", user["id"])
    assert PASSWORD not in json.dumps(record)


@pytest.mark.parametrize(
    ("log", "end"),
    [
        ("audit", signal.SIGINT),
        ("events", signal.SIGTERM),
        pytest.param("audit", signal.SIGTERM, marks=pytest.mark.deep),
        pytest.param("events", signal.SIGINT, marks=pytest.mark.deep),
    ],
)
def test_following_continues_until_a_signal_ends_it(shell: Shell, log: str, end: signal.Signals) -> None:
    shell.create("first@example.com")
    with subprocess.Popen(
        [*PROGRAM, log, "tail", "--json", "--follow"],
        env=shell.env,
        stdout=subprocess.PIPE,
        text=True,
        # A person who runs the tests in the background may have SIGINT ignored, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            assert process.stdout is not None
            json.loads(process.stdout.readline())
            second = shell.create("second@example.com")
            line = json.loads(process.stdout.readline())
            assert line.get("subject", line.get("userId")) == second["id"]
            process.send_signal(end)
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_reader_that_goes_away_is_no_error(shell: Shell) -> None:
    shell.create("ada@example.com")
    with subprocess.Popen(
        [*PROGRAM, "audit", "tail", "--json"], env=shell.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == 0


def test_whole_audit_log_is_verified(shell: Shell) -> None:
    shell.create("ada@example.com")
    assert "1 record" in shell.run("audit", "verify").stdout
    verdict = shell.one("audit", "verify")
    assert (verdict["whole"], verdict["records"], verdict["brokenAt"]) == (True, 1, None)
    assert verdict["lastHash"] == shell.json("audit", "tail")[-1]["hash"]


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE czo_auth_audit SET outcome = 'failure' WHERE sequence = 2",
        "UPDATE czo_auth_audit SET user_id = NULL WHERE sequence = 2",
        "UPDATE czo_auth_audit SET hash = previous_hash WHERE sequence = 2",
        "DELETE FROM czo_auth_audit WHERE sequence = 1",
    ],
)
def test_tampering_is_found_with_its_place(shell: Shell, tampering: str) -> None:
    for name in ("ada", "bob", "cleo"):
        shell.create(f"{name}@example.com")
    with closing(sqlite3.connect(shell.data / DATABASE_FILE, isolation_level=None)) as database:
        database.execute(tampering)
    done = shell.run("audit", "verify", code=1)
    assert "broken at sequence 2" in done.stderr
    assert done.stdout == ""
    verdict = json.loads(shell.run("audit", "verify", "--json", code=1).stdout)
    assert (verdict["whole"], verdict["brokenAt"]) == (False, 2)
