"""``czo-auth users delete | export | revoke | sessions``, ``api-keys create | rotate``, ``organizations``."""

from __future__ import annotations

import json

import pytest

from tests.cli.inside import Inside
from tests.cli.shell import Shell

REASON = ("--reason", "asked by letter")


def test_operator_deletes_a_user_and_the_log_stays_whole(shell: Shell) -> None:
    ada = shell.create("ada@example.com")
    assert shell.one("users", "delete", "ada@example.com", *REASON)["id"] == ada["id"]
    assert shell.json("users", "list") == []
    assert "nobody has the address" in shell.run("users", "delete", "ada@example.com", *REASON, code=1).stderr
    assert shell.one("audit", "verify")["whole"] is True
    records = shell.json("audit", "tail")
    deleted = next(one for one in records if one["action"] == "auth.user.deleted")
    assert (deleted["userId"], deleted["details"]) == (ada["id"], {"reason": "asked by letter"})


def test_export_is_one_document(shell: Shell) -> None:
    ada = shell.create("ada@example.com")
    document = json.loads(shell.run("users", "export", "ada@example.com").stdout)
    assert (document["user"]["id"], document["user"]["email"]) == (ada["id"], "ada@example.com")
    assert [one["action"] for one in document["audit"]] == ["auth.user.exported", "auth.user.registered"]


@pytest.mark.parametrize(
    "words",
    [
        ("ban", "root@example.com", *REASON),
        ("revoke", "root@example.com", "--actor-type", "admin"),
        ("delete", "root@example.com", *REASON),
    ],
)
def test_last_administrator_goes_only_by_force(shell: Shell, words: tuple[str, ...]) -> None:
    shell.create("root@example.com", "--actor-type", "admin")
    assert "last administrator" in shell.run("users", *words, code=1).stderr
    shell.run("users", *words, "--force")
    second = shell.create("two@example.com", "--actor-type", "admin")
    assert second["actorTypes"] == ["admin", "customer"]


def test_sessions_are_listed_and_ended(shell: Shell) -> None:
    shell.create("ada@example.com")
    assert shell.json("users", "sessions", "ada@example.com") == []
    shell.run("users", "sessions", "ada@example.com", "--end-all")


def test_key_is_printed_once_and_rotated(shell: Shell) -> None:
    shell.create("ada@example.com")
    made = shell.one("api-keys", "create", "ada@example.com", "--name", "deploy", "--scope", "orders:read")
    assert made["key"].startswith("czo_")
    assert (made["name"], made["scopes"], made["expiresAt"]) == ("deploy", ["orders:read"], None)
    successor = shell.one("api-keys", "rotate", made["id"])
    assert successor["key"] != made["key"]
    assert [one["id"] for one in shell.json("api-keys", "list", "ada@example.com")] == [successor["id"]]
    plain = shell.run("api-keys", "create", "ada@example.com", "--name", "ci", "--days", "30")
    assert plain.stdout.startswith("czo_")
    assert "not shown again" in plain.stderr
    refused = shell.run(
        "api-keys", "create", "ada@example.com", "--name", "x", "--scope", "admin:all", code=1
    )
    assert refused.stdout == ""
    assert "hold: admin:all." in refused.stderr, "which of the scopes is it?"


@pytest.mark.deep
def test_organization_is_handed_over_when_its_owner_is_banned(shell: Shell, inside: Inside) -> None:
    owner, member = shell.create("owner@example.com"), shell.create("member@example.com")
    organization = inside.give_organization(owner["id"], member["id"])
    words = ("organizations", "owner", organization, "member@example.com", *REASON)
    assert "owner who can act" in shell.run(*words, code=1).stderr
    kept = shell.run("users", "delete", "owner@example.com", *REASON, code=1).stderr
    assert f"({organization})" in kept, "which organization would have no owner?"
    shell.run("users", "ban", "owner@example.com", *REASON)
    assert shell.one(*words)["role"] == "owner"
    (listed,) = shell.json("organizations", "list")
    assert (listed["id"], listed["createdBy"]) == (organization, owner["id"])
    assert shell.json("organizations", "list", "--search", "nothing like it") == []
