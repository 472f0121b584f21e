"""
Stories that the machine acts out each time: one for each way in which something that is over could go on counting.

A random walk meets them all in minutes, a short one by luck. Each act is held against the model, as are all credentials
after the story, and everything that was ever handed out is tried once more.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.model.machine import Machine
from tests.fuzz.stories_of_accounts import SELDOM_OF_ACCOUNTS, STORIES_OF_ACCOUNTS
from tests.fuzz.stories_of_programs import SELDOM_OF_PROGRAMS, STORIES_OF_PROGRAMS
from tests.fuzz.stories_of_sign_in import SELDOM_OF_SIGN_IN, STORIES_OF_SIGN_IN

Story = Callable[[Machine], None]
STORIES: tuple[Story, ...] = (*STORIES_OF_SIGN_IN, *STORIES_OF_ACCOUNTS, *STORIES_OF_PROGRAMS)
SELDOM: frozenset[Story] = SELDOM_OF_SIGN_IN | SELDOM_OF_ACCOUNTS | SELDOM_OF_PROGRAMS
"""Acted out by `make test-deep` alone."""
