"""What keeps a deployment from starting."""

from __future__ import annotations


class StartRefused(Exception):
    """The deployment cannot start; the message says in one sentence what to do, and shows no secret."""
