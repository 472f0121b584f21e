"""``--help`` everywhere, and that it comes at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from czo_auth.version import VERSION
from tests.cli.forks import run_forked
from tests.cli.shell import PROGRAM, Shell

COMMANDS = [
    *(("serve",), ("demo",), ("migrate",), ("doctor",), ("scan",)),
    *(("users", name) for name in ("create", "list", "show", "grant", "ban", "unban", "reset-2fa")),
    *(("users", name) for name in ("resets", "cancel-reset", "recover")),
    *(("users", name) for name in ("delete", "export", "revoke", "sessions")),
    *(("organizations", name) for name in ("list", "owner")),
    *(("api-keys", name) for name in ("create", "list", "revoke", "rotate")),
    *(("keys", name) for name in ("generate", "status", "rotate")),
    ("mail", "preview"),
    *(("events", "tail"), ("audit", "tail"), ("audit", "verify")),
]
GENEROUS_SECONDS = 0.3 * 5


def _help(*words: str) -> str:
    done = run_forked((*words, "--help"), env={"PATH": os.environ["PATH"]}, stdin="", seconds=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_has_an_example_and_no_option_for_a_secret(words: tuple[str, ...]) -> None:
    text = _help(*words)
    assert f"czo-auth {' '.join(words)}" in text.partition("Example")[2]
    for option in ("--password ", "--password=", "--key ", "--secret", "--token", "--encryption-key"):
        assert option not in text


def test_help_names_every_command_and_the_exit_codes() -> None:
    text = _help()
    for command in {words[0] for words in COMMANDS}:
        assert f"\n  {command} " in text
    assert "75" in text


def test_help_comes_at_once(tmp_path: Path) -> None:
    def seconds() -> float:
        """Return the processor's time, which is all that it takes: nothing is waited for."""
        before = os.times()
        subprocess.run([*PROGRAM, "--help"], capture_output=True, check=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(3)) < GENEROUS_SECONDS


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['czo-auth', '--help']; from czo_auth.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'pydantic', 'sqlalchemy', 'fastapi', 'granian', 'alembic', 'httpx', 'strawberry', 'rich.console'}\n"
        # The rules of the product, and what only a command that runs needs.
        "heavy |= {'asyncio', 'ssl', 'czo_auth.core.errors', 'czo_auth.core.users.store', 'czo_auth.cli.command'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_unknown_commands_and_options_are_wrong_usage(fresh: Shell) -> None:
    for words in (("conquer",), ("users", "conquer"), ("serve", "--conquer"), ("api-keys", "revoke")):
        done = fresh.run(*words, code=2)
        assert done.stdout == ""
        assert "Usage: " in done.stderr
    assert not fresh.data.exists()


def test_the_version_is_printed(fresh: Shell) -> None:
    assert fresh.run("--version").stdout == f"czo-auth {VERSION}\n"
    assert not fresh.data.exists()


@pytest.mark.parametrize("words", [(), ("users",), ("users", "list"), ("audit", "tail"), ("serve",)])
def test_help_has_a_short_option(fresh: Shell, words: tuple[str, ...]) -> None:
    assert fresh.run(*words, "-h").stdout == fresh.run(*words, "--help").stdout
