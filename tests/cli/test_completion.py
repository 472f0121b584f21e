"""What a shell is told when somebody presses Tab."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.shell import Shell

BASH = {"COMP_WORDS": "czo-auth keys r", "COMP_CWORD": "2"}
ZSH = {"_TYPER_COMPLETE_ARGS": "czo-auth keys r"}
FISH = {"_TYPER_COMPLETE_ARGS": "czo-auth keys r", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}


@pytest.mark.parametrize(("shell_name", "typed"), [("bash", BASH), ("zsh", ZSH), ("fish", FISH)])
def test_commands_are_completed(fresh: Shell, shell_name: str, typed: dict[str, str]) -> None:
    # The command by its own name, since shells ask for it by that.
    program = Path(sys.executable).with_name("czo-auth")
    env = fresh.env | typed | {"_CZO_AUTH_COMPLETE": f"complete_{shell_name}"}
    done = subprocess.run([program], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "rotate" in done.stdout, done.stderr
    assert "generate" not in done.stdout
    assert not fresh.data.exists()
