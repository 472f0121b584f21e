"""Ways back in from the terminal: a reset at once, what waits, and a link for a new password."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import time

import pytest

from czo_auth import Auth
from czo_auth.core.context import system_context
from czo_auth.core.events.types import TWO_FACTOR_RESET
from czo_auth.core.principal import Principal
from tests.cli.inside import Inside
from tests.cli.shell import PASSWORD, PROGRAM, Shell

pytestmark = pytest.mark.deep


def person(shell: Shell, inside: Inside, email: str) -> str:
    """Create somebody with a second factor; gives the id."""
    user_id = str(shell.create(email)["id"])
    inside.give_factor(user_id)
    return user_id


def ask(inside: Inside, admin_id: str, user_id: str) -> None:
    """Let an administrator ask for a reset that waits."""

    async def act(auth: Auth) -> None:
        admin = Principal(
            kind="session",
            user_id=admin_id,
            actor_type="admin",
            actor_types=frozenset({"admin"}),
            may_use=lambda _: True,
        )
        waits = await auth.recovery.ask(
            user_id, reason="lost\tboth", context=system_context(auth.now()).of(admin)
        )
        assert waits is not None

    inside.run(act)


def test_reset_waits_for_nobody_at_the_terminal_and_what_waits_is_listed_and_cancelled(
    shell: Shell, inside: Inside
) -> None:
    ada, bob = person(shell, inside, "ada@example.com"), person(shell, inside, "bob@example.com")
    inside.wait_seconds = 86_400
    ask(inside, ada, bob)
    (listed,) = shell.json("users", "resets")
    assert (listed["userId"], listed["email"], listed["askedByEmail"]) == (
        bob,
        "bob@example.com",
        "ada@example.com",
    )
    table = shell.run("users", "resets").stdout.splitlines()
    assert len(table) == 2
    assert "lost\\u0009both" in table[1]
    cancelled = shell.run("users", "cancel-reset", "bob@example.com")
    assert "cancelled the reset of bob@example.com" in cancelled.stdout
    assert "no reset is pending" in shell.run("users", "cancel-reset", "bob@example.com", code=1).stderr
    assert shell.json("users", "resets") == []

    ask(inside, ada, bob)
    words = ("users", "reset-2fa", "bob@example.com", "--reason", "seen in person")
    shown = shell.one(*words, "--yes")
    assert shown["twoFactorEnabled"] is False
    assert shell.json("users", "resets") == []
    audit = {record["action"]: record for record in shell.json("audit", "tail") if record["userId"] == bob}
    assert audit[TWO_FACTOR_RESET]["actorKind"] == "operator"
    assert audit["auth.2fa.reset_cancelled"]["details"]["reason"] == "superseded"


def test_reset_at_a_terminal_asks_for_the_address_once_more(shell: Shell, inside: Inside) -> None:
    person(shell, inside, "ada@example.com")
    code, said = _answered(shell, "grace@example.com")
    assert (code, b"Nothing was changed" in said) == (1, True)
    assert shell.one("users", "show", "ada@example.com")["twoFactorEnabled"] is True
    code, said = _answered(shell, "ada@example.com")
    assert (code, b"reset two factors of ada@example.com" in said) == (0, True)
    assert shell.one("users", "show", "ada@example.com")["twoFactorEnabled"] is False


def _answered(shell: Shell, answer: str) -> tuple[int, bytes]:
    terminal, inner = pty.openpty()
    words = ("users", "reset-2fa", "ada@example.com", "--reason", "phone lost")
    process = subprocess.Popen(
        [*PROGRAM, *words], env=shell.env, stdin=inner, stdout=inner, stderr=inner, start_new_session=True
    )
    os.close(inner)
    said = b""
    while b"Type the address" not in said:
        said += os.read(terminal, 1024)
    time.sleep(0.1)
    os.write(terminal, f"{answer}\n".encode())
    try:
        while part := os.read(terminal, 1024):
            said += part
    except OSError:
        pass
    return process.wait(60), said


def test_link_for_a_new_password_is_printed_and_kept_nowhere(shell: Shell, inside: Inside) -> None:
    ada = str(shell.create("ada@example.com")["id"])
    done = shell.run("users", "recover", "ada@example.com", "--reason", "password lost, no mail here")
    found = re.fullmatch(
        r"http://localhost:8000/account/reset-password\?token=(czm_[A-Za-z0-9_-]{43})\n", done.stdout
    )
    assert found is not None, done.stdout
    token = found[1]
    assert token not in done.stderr
    (record,) = [
        each for each in shell.json("audit", "tail") if each["action"] == "auth.password.recovery_issued"
    ]
    assert (record["actorKind"], record["method"], record["userId"]) == ("operator", "cli", ada)
    assert record["details"] == {"reason": "password lost, no mail here"}
    kept = b"".join(path.read_bytes() for path in shell.data.iterdir())
    assert token.encode() not in kept

    async def reset(auth: Auth) -> None:
        await auth.passwords.reset(token, new=f"{PASSWORD} too", context=system_context(auth.now()))

    inside.run(reset)
    assert shell.one("users", "recover", "ada@example.com", "--reason", "again")["token"].startswith("czm_")


def test_nobody_and_the_banned_get_no_link(shell: Shell) -> None:
    shell.run("users", "recover", "nobody@example.com", "--reason", "r", code=1)
    assert "--reason" in shell.run("users", "recover", "nobody@example.com", code=2).stderr
    shell.create("eve@example.com")
    shell.run("users", "ban", "eve@example.com", "--reason", "fraud")
    assert "banned" in shell.run("users", "recover", "eve@example.com", "--reason", "r", code=1).stderr
