"""A report on the limits of a key: what they are, and what is left of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RATE_LIMIT: Final = "rate-limit"
QUOTA: Final = "quota"


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """
    One limit of a key.

    Attributes:
        name: ``rate-limit`` or ``quota``.
        maximum: Uses in a window.
        window_seconds: The length of the window.
    """

    name: str
    maximum: int
    window_seconds: int


@dataclass(frozen=True, slots=True)
class Remaining:
    """
    What is left of one limit.

    Attributes:
        name: That of its policy.
        count: Uses that are still allowed, as far as this process knows.
        seconds: How long until there are more.
    """

    name: str
    count: int
    seconds: int


@dataclass(frozen=True, slots=True)
class LimitReport:
    """
    The limits of a key after one use of it.

    Attributes:
        policies: All of them.
        remaining: What is left of each; after a refusal, of the one that refused.
    """

    policies: tuple[LimitPolicy, ...]
    remaining: tuple[Remaining, ...]
