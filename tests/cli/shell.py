"""The command line as a person or a script uses it: real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cli.forks import run_forked
from tests.support.server import INHERITED

PROGRAM = (sys.executable, "-W", "error", "-m", "czo_auth")
SECONDS = 60
PASSWORD = "a sentence that nobody guesses"


class Shell:
    """
    Runs commands on one deployment.

    Args:
        data: Its data folder.
        env: Further settings by their documented names.
    """

    def __init__(self, data: Path, *, env: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.env = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.env |= {"CZO_AUTH_DATA_DIR": str(data), **(env or {})}

    def run(
        self, *words: str, code: int = 0, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, which must end with *code* and without a traceback."""
        chosen = self.env | dict(env or {})
        if _may_be_forked(words, env or {}, code):
            done = run_forked(words, env=chosen, stdin=stdin, seconds=SECONDS)
        else:
            done = subprocess.run(
                [*PROGRAM, *words],
                env=chosen,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        said = f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == code, f"ended with {done.returncode}, not {code}: {said}"
        assert "Traceback" not in said, said
        return done

    def json(self, *words: str, stdin: str = "") -> list[dict[str, Any]]:
        """Run a command with ``--json``; gives its lines."""
        return [json.loads(line) for line in self.run(*words, "--json", stdin=stdin).stdout.splitlines()]

    def one(self, *words: str, stdin: str = "") -> dict[str, Any]:
        """Run a command with ``--json`` that prints one object."""
        (found,) = self.json(*words, stdin=stdin)
        return found

    def create(self, email: str, *more: str, password: str = PASSWORD) -> dict[str, Any]:
        """Create a user, named like the first part of the address."""
        words = ("users", "create", "--email", email, "--name", email.partition("@")[0].title(), *more)
        return self.one(*words, "--password-stdin", stdin=f"{password}\n")


def _may_be_forked(words: tuple[str, ...], env: Mapping[str, str], code: int) -> bool:
    """
    Say whether a command is the same when it is forked: a server manages processes, unless its start is refused, and
    Python reads PYTHON… when it starts, of which only PYTHONPATH can be made up for.
    """
    is_server = words[:1] == ("demo",) or (words[:1] == ("serve",) and code == 0)
    known = all("AUTH_" in name or name == "PYTHONPATH" for name in env)
    return sys.platform == "linux" and not is_server and known
