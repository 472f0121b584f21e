"""Every action that is recorded is declared with its meaning, so that the reference page names it."""

from __future__ import annotations

import re
from pathlib import Path

from czo_auth.core.events.types import AUDIT_MEANINGS, EVENT_MEANINGS, EVENT_TYPES

FLOWS = Path(__file__).parents[3] / "src" / "czo_auth" / "core"


def test_no_action_is_declared_twice() -> None:
    assert EVENT_MEANINGS.keys() == EVENT_TYPES
    assert not EVENT_MEANINGS.keys() & AUDIT_MEANINGS.keys()
    assert all(meaning.endswith(".") for meaning in (EVENT_MEANINGS | AUDIT_MEANINGS).values())


def test_core_declares_actions_in_one_place_only() -> None:
    declared = EVENT_MEANINGS.keys() | AUDIT_MEANINGS.keys() | {"auth.webhook.test"}
    for path in FLOWS.rglob("*.py"):
        written = set(re.findall(r"""["'](auth\.[a-z0-9_]+(?:\.[a-z0-9_]+)*)["']""", path.read_text("utf-8")))
        assert written <= declared, path
        assert path.name == "types.py" or written <= {"auth.webhook.test"}, path
