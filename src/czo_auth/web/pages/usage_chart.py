"""The geometry of the chart of a key's uses: one bar for each day, refused uses stacked on accepted ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from czo_auth.core.api_keys.usage import DayUsage

WIDTH: Final = 600
HEIGHT: Final = 120
_LEAST: Final = 2.0
"""The minimum height of a bar, so that a single use is visible beside days with many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """
    One day.

    Attributes:
        x, width: The position of the bar, in the units of the chart.
        used_height, refused_height: 0 for no uses.
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
        """The top of the used part."""
        return round(HEIGHT - self.used_height, 1)

    @property
    def refused_y(self) -> float:
        """The top of the refused part."""
        return round(HEIGHT - self.used_height - self.refused_height, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageChart:
    """
    The chart of consecutive days.

    Attributes:
        highest: The maximum of uses and refusals on one day, which is the height of the chart.
        used, refused: Totals of all days.
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
    """Lay out *days*, which must be consecutive."""
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
    # Two parts of one bar that are both enlarged still fit below the top.
    return round(max(_LEAST, count / highest * (HEIGHT - 2 * _LEAST)), 1)
