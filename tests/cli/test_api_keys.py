"""``czo-auth api-keys``."""

from __future__ import annotations

import httpx
import pytest

from tests.cli.inside import Inside
from tests.cli.shell import Shell
from tests.conftest import StartServer


def test_key_is_listed_by_prefix_and_revoked_under_a_running_server(start_server: StartServer) -> None:
    server = start_server()
    shell, inside = Shell(server.data_directory), Inside(server.data_directory)
    user = shell.create("ada@example.com")
    text, key = inside.give_api_key(user["id"])

    def status() -> int:
        return httpx.get(
            f"{server.url}/api/auth/whoami", headers={"Authorization": f"Bearer {text}"}
        ).status_code

    assert status() == 200
    (listed,) = shell.json("api-keys", "list", "ada@example.com")
    assert (listed["id"], listed["prefix"], listed["scopes"]) == (key.id, text[:8], ["orders:read"])
    assert "key" not in listed
    table = shell.run("api-keys", "list", "ada@example.com").stdout
    assert table.splitlines()[0].startswith("prefix\tname\t")
    assert text not in table + repr(listed)

    shown = shell.json("api-keys", "show", key.id)[0]
    assert (shown["id"], shown["userId"], shown["allowedIps"], shown["rateLimitEnabled"]) == (
        *(key.id, user["id"]),
        *(None, False),
    )
    assert "allowedIps\t-" in shell.run("api-keys", "show", key.id).stdout.splitlines()
    assert table.splitlines()[0].endswith("addresses\trate limit\tquota\tuses\tid")

    assert shell.run("api-keys", "revoke", key.id).stdout.startswith(f"revoked {text[:8]}…")
    assert status() == 401
    assert "no live API key" in shell.run("api-keys", "revoke", key.id, code=1).stderr
    (revoked,) = [event for event in shell.json("events", "tail") if event["type"] == "auth.apikey.revoked"]
    assert revoked["data"]["apiKeyId"] == key.id


def test_key_itself_is_not_an_id_and_is_not_repeated(shell: Shell, inside: Inside) -> None:
    user = shell.create("ada@example.com")
    text, _ = inside.give_api_key(user["id"])
    for command in ("show", "revoke"):
        done = shell.run("api-keys", command, text, code=1)
        assert text not in done.stdout + done.stderr


def test_keys_of_nobody_are_not_found(shell: Shell) -> None:
    shell.run("api-keys", "list", "nobody@example.com", code=1)


@pytest.mark.deep
def test_quota_is_set_and_uses_are_reported_by_day(shell: Shell, inside: Inside) -> None:
    shell.create("ada@example.com")
    command = ("api-keys", "create", "ada@example.com", "--name", "ci")
    for wrong in ("1000", "1000/week", "x/day", "-1/day", "1000/day/2"):
        assert "--quota" in shell.run(*command, "--quota", wrong, code=2).stderr
    assert "A quota is from 1" in shell.run(*command, "--quota", "0/day", code=1).stderr
    made = shell.json(*command, "--quota", "1000/day")[0]
    assert (made["quotaMax"], made["quotaPeriod"], made["useCount"]) == (1000, "day", 0)
    assert shell.run("api-keys", "usage", made["id"]).stdout.splitlines() == ["day\tused\trefused"]
    inside.count_uses(made["id"], {"2026-01-30": (3, 0), "2026-01-31": (2, 7)})
    asked = ("api-keys", "usage", made["id"], "--from", "2026-01-01")
    assert shell.json(*asked) == [
        {"day": "2026-01-30", "used": 3, "refused": 0},
        {"day": "2026-01-31", "used": 2, "refused": 7},
    ]
    assert shell.run(*asked, "--to", "2026-01-30").stdout.splitlines()[1:] == ["2026-01-30\t3\t0"]
    assert "--from" in shell.run("api-keys", "usage", made["id"], "--from", "soon", code=2).stderr
    (row,) = [
        line.split("\t") for line in shell.run("api-keys", "list", "ada@example.com").stdout.splitlines()[1:]
    ]
    assert row[-3:] == ["1000/day", "5", made["id"]]

    assert shell.run("api-keys", "quota", made["id"], "20000/month").stdout.endswith(": 20000/month\n")
    assert shell.json("api-keys", "quota", made["id"], "none")[0]["quotaMax"] is None
    assert shell.json("api-keys", "list", "ada@example.com", "--unused-since", "1d") == []
    assert (
        "no live API key"
        in shell.run("api-keys", "usage", "01983d2e-7c1a-7000-8000-3f1c2b6a9d10", code=1).stderr
    )
