"""The geometry of the chart of a key's uses: one bar a day, what was refused on top of what was used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from czo_auth.core.api_keys.usage import DayUsage

WIDTH: Final = 600
HEIGHT: Final = 120
_LEAST: Final = 2.0
"""A day with one use among days with many is still seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """
    One day.

    Attributes:
        x, width: Where the bar stands, in the units of the chart.
        used_height, refused_height: 0 for nothing.
    """

    day: date
    used: int
    refused: int
    x: float
    width: float
    used_height: float
    refused_height: float

    @property
    def used_y(self) -> float:
        """Where the used part begins, from above."""
        return round(HEIGHT - self.used_height, 1)

    @property
    def refused_y(self) -> float:
        """Where the refused part begins, from above."""
        return round(HEIGHT - self.used_height - self.refused_height, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageChart:
    """
    The chart of some days in a row.

    Attributes:
        highest: The most uses and refusals of one day, which is the height of the chart.
        used, refused: Of all days together.
    """

    bars: Sequence[Bar]
    highest: int
    used: int
    refused: int
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def active_days(self) -> list[Bar]:
        """The days on which anything happened, the newest first."""
        return [bar for bar in reversed(self.bars) if bar.used or bar.refused]


def usage_chart(days: Sequence[DayUsage]) -> UsageChart:
    """Lay out *days*, which follow each other without a gap."""
    highest = max((each.used + each.refused for each in days), default=0)
    step = WIDTH / max(1, len(days))
    bars = [
        Bar(
            day=each.day,
            used=each.used,
            refused=each.refused,
            x=round(number * step + step * 0.1, 1),
            width=round(step * 0.8, 1),
            used_height=_height(each.used, highest),
            refused_height=_height(each.refused, highest),
        )
        for number, each in enumerate(days)
    ]
    return UsageChart(
        bars=bars,
        highest=highest,
        used=sum(each.used for each in days),
        refused=sum(each.refused for each in days),
    )


def _height(count: int, highest: int) -> float:
    if not count:
        return 0.0
    # Two parts of one bar that are both shown larger than they are still end below the top.
    return round(max(_LEAST, count / highest * (HEIGHT - 2 * _LEAST)), 1)
