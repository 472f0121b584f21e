"""``czo-auth api-keys``."""

from __future__ import annotations

import httpx

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
    assert table.splitlines()[0].endswith("addresses\trate limit\tid")

    assert shell.run("api-keys", "revoke", key.id).stdout.startswith(f"revoked {text[:8]}…")
    assert status() == 401
    assert "no API key" in shell.run("api-keys", "revoke", key.id, code=1).stderr
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
