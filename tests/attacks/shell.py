"""What an operator does at the command line, beside a server that runs."""

from __future__ import annotations

import subprocess
import sys

from tests.contract.people import Account
from tests.support.server import RunningServer


def ban(server: RunningServer, account: Account) -> None:
    """Ban somebody with `czo-auth users ban`."""
    command = [sys.executable, "-m", "czo_auth", "users", "ban", account.email, "--reason", "a test"]
    subprocess.run(command, env=server.env, check=True, capture_output=True, timeout=60)


def make_admin(server: RunningServer, account: Account) -> None:
    """Give somebody the actor type that administers with `czo-auth users grant`."""
    command = [sys.executable, "-m", "czo_auth", "users", "grant", account.email, "--actor-type", "admin"]
    subprocess.run(command, env=server.env, check=True, capture_output=True, timeout=60)
