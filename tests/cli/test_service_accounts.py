"""``czo-auth service-accounts``."""

from __future__ import annotations

from tests.cli.inside import Inside
from tests.cli.shell import Shell


def test_account_is_made_given_a_key_disabled_and_deleted(shell: Shell, inside: Inside) -> None:
    user = shell.create("ada@example.com")
    organization = inside.give_organization(user["id"], shell.create("bob@example.com")["id"])
    command = ("service-accounts", "create", organization, "--name", "pipeline", "--scope", "orders:read")
    account = shell.json(*command)[0]
    assert (account["name"], account["scopes"], account["createdBy"]) == ("pipeline", ["orders:read"], None)
    assert shell.json("service-accounts", "list", organization) == [account]
    make = ("service-accounts", "create-key", organization, account["id"], "--name", "ci")
    refused = shell.run(*make, "--scope", "orders:write", code=1)
    assert "does not have this scope" in refused.stderr
    key = shell.json(*make, "--scope", "orders:read", "--days", "90")[0]
    assert (key["serviceAccountId"], key["userId"], key["key"][:4]) == (account["id"], None, "czo_")
    rotated = shell.json("api-keys", "rotate", key["id"])[0]
    assert rotated["serviceAccountId"] == account["id"]
    assert shell.json("service-accounts", "disable", organization, account["id"])[0]["enabled"] is False
    assert "\tno\t" in shell.run("service-accounts", "list", organization).stdout
    assert shell.json("service-accounts", "enable", organization, account["id"])[0]["enabled"] is True
    assert shell.run("service-accounts", "delete", organization, account["id"]).stdout.startswith("deleted")
    assert (
        "no such service account"
        in shell.run("service-accounts", "delete", organization, account["id"], code=1).stderr
    )
    revoked = [each for each in shell.json("events", "tail") if each["type"] == "auth.apikey.revoked"]
    assert rotated["id"] in [each["data"]["apiKeyId"] for each in revoked]
