"""``czo-auth users``."""

from __future__ import annotations

import os
import pty
import sqlite3
import subprocess
import time
from contextlib import closing

import httpx
import pytest

from tests.cli.inside import Inside
from tests.cli.shell import PASSWORD, PROGRAM, Shell
from tests.conftest import StartServer

USER_FIELDS = {
    *(
        "id",
        "email",
        "name",
        "emailVerified",
        "image",
        "twoFactorEnabled",
        "actorTypes",
        "createdAt",
        "updatedAt",
    ),
    *("banned", "bannedAt"),
}


def test_user_that_was_created_signs_in_and_the_password_shows_nowhere(
    start_server: StartServer, database_url: str
) -> None:
    key = {"AUTH_ENCRYPTION_KEY": "k1:NZ8cLu1Mn0ZQxkLgJgyE4M2QUjwpfHYGvPHGYlqUKxg="}
    server = start_server(env=key, database_url=database_url)
    shell = Shell(server.data_directory, env=key | {"CZO_AUTH_DATABASE_URL": database_url})
    words = ("users", "create", "--email", "Ada@Example.com", "--name", "Ada", "--actor-type", "admin")
    done = shell.run(*words, "--password-stdin", stdin=f"{PASSWORD}\n")
    assert "created ada@example.com (admin, customer)" in done.stdout
    assert "two-factor" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr

    answer = httpx.post(
        f"{server.url}/api/auth/admin/sign-in/email", json={"email": "ada@example.com", "password": PASSWORD}
    )
    assert answer.status_code == 200
    assert answer.json()["requires2FASetup"] is True
    assert answer.json()["user"]["emailVerified"] is True
    assert PASSWORD not in server.output()


def test_what_create_prints_as_json_is_a_user(shell: Shell) -> None:
    user = shell.create("bob@example.com")
    assert set(user) == USER_FIELDS
    assert user["actorTypes"] == ["customer"]
    assert (user["email"], user["name"], user["banned"]) == ("bob@example.com", "Bob", False)


@pytest.mark.parametrize(
    ("words", "stdin", "code", "said"),
    [
        (("--email", "eve@example.com"), "", 2, "no password on standard input"),
        (("--email", "eve@example.com"), "short\n", 1, "at least 8 characters"),
        (("--email", "eve@example.com"), "password123\n", 1, "known data breaches"),
        (("--email", "not an address"), f"{PASSWORD}\n", 1, "not an email address"),
        (("--email", "eve@example.com", "--actor-type", "emperor"), f"{PASSWORD}\n", 1, "actor type"),
        ((), f"{PASSWORD}\n", 2, "--email"),
    ],
)
def test_create_refuses_with_a_sentence(
    shell: Shell, words: tuple[str, ...], stdin: str, code: int, said: str
) -> None:
    done = shell.run("users", "create", "--name", "Eve", "--password-stdin", *words, stdin=stdin, code=code)
    assert said in done.stderr
    assert done.stdout == ""
    if stdin:
        assert stdin.strip() not in done.stderr


def test_address_is_taken_once(shell: Shell) -> None:
    shell.create("ada@example.com")
    words = ("users", "create", "--email", "ADA@example.com", "--name", "Other", "--password-stdin")
    assert "exists" in shell.run(*words, stdin=f"{PASSWORD}\n", code=1).stderr.lower()


def test_blank_name_is_wrong_usage(shell: Shell) -> None:
    words = ("users", "create", "--email", "eve@example.com", "--name", "  ", "--password-stdin")
    assert "--name" in shell.run(*words, stdin=f"{PASSWORD}\n", code=2).stderr


def test_password_is_never_an_argument(shell: Shell) -> None:
    words = ("users", "create", "--email", "eve@example.com", "--name", "Eve")
    assert "--password-stdin" in shell.run(*words, code=2).stderr
    assert "no such option" in shell.run(*words, "--password", PASSWORD, code=2).stderr.lower()


def test_password_is_asked_for_twice_and_not_shown(shell: Shell) -> None:
    terminal, inner = pty.openpty()
    words = ("users", "create", "--email", "ada@example.com", "--name", "Ada")
    process = subprocess.Popen(
        [*PROGRAM, *words], env=shell.env, stdin=inner, stdout=inner, stderr=inner, start_new_session=True
    )
    os.close(inner)
    shown = _answer(terminal, b"Password", f"{PASSWORD}\n".encode())
    shown += _answer(terminal, b"Once more", f"{PASSWORD}\n".encode())
    shown += _rest(terminal)
    assert process.wait(60) == 0, shown
    assert b"created ada@example.com" in shown
    assert PASSWORD.encode() not in shown


def _answer(terminal: int, question: bytes, answer: bytes) -> bytes:
    shown = b""
    while question not in shown:
        shown += os.read(terminal, 1024)
    # The prompt may come before the terminal stops echoing.
    time.sleep(0.2)
    os.write(terminal, answer)
    return shown


def _rest(terminal: int) -> bytes:
    shown = b""
    try:
        while part := os.read(terminal, 1024):
            shown += part
    except OSError:
        # How Linux says that nobody holds the other end any more.
        pass
    return shown


def test_operator_finds_promotes_bans_and_unlocks(shell: Shell, inside: Inside) -> None:
    ada, bob = shell.create("ada@example.com"), shell.create("bob@example.com")
    inside.give_factor(ada["id"])
    key, _ = inside.give_api_key(ada["id"])

    assert [user["email"] for user in shell.json("users", "list")] == ["ada@example.com", "bob@example.com"]
    assert [user["id"] for user in shell.json("users", "list", "--search", "BOB")] == [bob["id"]]

    shown = shell.one("users", "show", "Ada@example.com")
    assert set(shown) == USER_FIELDS | {"twoFactor", "apiKeys", "sessions"}
    assert (shown["apiKeys"], shown["sessions"], shown["twoFactorEnabled"]) == (1, 0, True)
    assert shown["twoFactor"].pop("enabledAt") is not None
    assert shown["twoFactor"] == {
        "enabled": True,
        "pending": False,
        "requiredByPolicy": False,
        "backupCodesRemaining": 0,
        "passkeys": 0,
        "lockedUntil": None,
        "stopped": False,
    }

    granted = shell.one("users", "grant", "ada@example.com", "--actor-type", "admin")
    assert granted["actorTypes"] == ["admin", "customer"]
    reset = shell.run("users", "reset-2fa", "ada@example.com", "--reason", "phone lost")
    assert "reset two factors of ada@example.com" in reset.stdout
    assert "mail to ada@example.com" in reset.stderr
    after = shell.one("users", "show", "ada@example.com")
    assert (after["twoFactor"]["enabled"], after["twoFactor"]["requiredByPolicy"]) == (False, True)
    shell.run("users", "reset-2fa", "ada@example.com", "--reason", "again", code=1)

    assert (
        shell.one("users", "ban", "ada@example.com", "--reason", "stolen cards", "--force")["banned"] is True
    )
    assert shell.one("users", "show", "ada@example.com")["apiKeys"] == 0
    assert shell.one("users", "unban", "ada@example.com")["banned"] is False
    assert shell.json("api-keys", "list", "ada@example.com") == []

    audit = shell.json("audit", "tail")
    assert {record["method"] for record in audit if record["actorKind"] == "operator"} == {"cli"}
    assert sorted(record["action"] for record in audit if record["actorKind"] == "operator") == sorted(
        [
            *("auth.user.registered", "auth.user.registered", "auth.role.changed"),
            *("auth.2fa.disabled", "auth.2fa.reset"),
            *("auth.user.banned", "auth.apikey.revoked", "auth.user.unbanned"),
        ]
    )
    reasons = {record["action"]: record["details"].get("reason") for record in audit}
    assert reasons["auth.2fa.reset"] == "phone lost"
    assert reasons["auth.user.banned"] == "stolen cards"
    assert key not in repr(audit)


@pytest.mark.parametrize(
    "words",
    [
        ("show", "nobody@example.com"),
        ("grant", "nobody@example.com", "--actor-type", "admin"),
        ("ban", "nobody@example.com", "--reason", "r"),
        ("unban", "nobody@example.com"),
        ("reset-2fa", "nobody@example.com", "--reason", "r"),
    ],
)
def test_nobody_is_not_found(shell: Shell, words: tuple[str, ...]) -> None:
    done = shell.run("users", *words, code=1)
    assert done.stdout == ""
    assert done.stderr.startswith("czo-auth: ")


def test_ban_needs_a_reason(shell: Shell) -> None:
    assert "--reason" in shell.run("users", "ban", "ada@example.com", code=2).stderr


def test_names_of_strangers_cannot_forge_lines(shell: Shell) -> None:
    words = ("users", "create", "--email", "eve@example.com", "--password-stdin")
    forged = "Eve\nroot@example.com\tRoot\x1b[2J"
    shell.run(*words, "--name", forged, stdin=f"{PASSWORD}\n", code=2)
    shell.run(*words, "--name", "Eve", stdin=f"{PASSWORD}\n")
    # Rows of before names were checked.
    with closing(sqlite3.connect(shell.data / "czo-auth.db")) as connection, connection:
        connection.execute("UPDATE czo_auth_users SET name = ?", (forged,))
    for listing in (shell.run("users", "list").stdout, shell.run("users", "show", "eve@example.com").stdout):
        assert "\x1b" not in listing
        assert not any(line.startswith("root@") for line in listing.splitlines())
    assert len(shell.run("users", "list").stdout.splitlines()) == 2


def test_users_are_listed_by_status_type_and_two_factors(shell: Shell, inside: Inside) -> None:
    people = {name: shell.create(f"{name}@example.com") for name in ("ada", "bob", "cleo")}
    shell.run("users", "grant", "bob@example.com", "--actor-type", "merchant")
    shell.run("users", "ban", "cleo@example.com", "--reason", "spam")
    inside.give_factor(people["ada"]["id"])

    def emails(*words: str) -> list[str]:
        return [user["email"].partition("@")[0] for user in shell.json("users", "list", *words)]

    assert emails("--status", "banned") == ["cleo"]
    assert emails("--actor-type", "merchant") == ["bob"]
    assert emails("--2fa") == ["ada"]
    assert emails("--no-2fa", "--status", "active") == ["bob"]
    assert emails("--limit", "2") == ["ada", "bob"]
    shell.run("users", "list", "--status", "asleep", code=2)
    refused = shell.run("users", "list", "--actor-type", "merchnat", code=1).stderr
    assert refused == (
        "czo-auth: This actor type is unknown, and nobody holds it. It can be customer, merchant, admin.\n"
    )
