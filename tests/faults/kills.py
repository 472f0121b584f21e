"""What tests that end servers at any time share."""

from __future__ import annotations

import json
import os

from tests.contract.acting import is_accepted
from tests.faults.users import Users

IN_FULL = "FAULT_KILLS" in os.environ


async def still_counts(users: Users) -> None:
    """Ask the server itself about the newest of what it had acknowledged."""
    memory = users.memory
    for text, (_, lives) in list(memory.keys.items())[-6:]:
        assert await is_accepted(users.api, text) is lives
    for session in list(memory.sessions.values())[-3:]:
        assert await users.people.is_alive(session)


def is_whole(line: str) -> bool:
    """Say whether *line* was not torn by the kill."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
