"""Uses of keys: counted in memory and written in batches, outside of requests (S19)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from czo_auth.core.api_keys.addresses import shortened_network

RESOLUTION: Final = timedelta(minutes=1)
"""The resolution of the time and address of the last use."""
_MAX_COUNT: Final = 100_000
_MAX_DAYS: Final = 3
"""How many days of counts are held in memory while the database cannot be written to."""
_DAY: Final = timedelta(days=1)

Address = Callable[[], str | None]
"""Returns the address that a use comes from; called at most once per `RESOLUTION`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayUsage:
    """
    Uses of one key on one day (UTC).

    Attributes:
        used: How often it was accepted.
        refused: How often the known key was refused: disabled, expired, over a limit, or from an address that is not
            allowed.
    """

    day: date
    used: int
    refused: int


@dataclass(frozen=True, slots=True)
class LastUse:
    """
    When a key was last used, and from where.

    Attributes:
        network: The network of the address; None if unknown.
    """

    at: datetime
    network: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatheredUses:
    """
    What was gathered since the last flush.

    Attributes:
        latest: By key; omits keys used within `RESOLUTION` of the stored last use.
        used, refused: By day and key.
    """

    latest: dict[str, LastUse] = field(default_factory=dict)
    used: dict[date, dict[str, int]] = field(default_factory=dict)
    refused: dict[date, dict[str, int]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.latest or any(self.used.values()) or any(self.refused.values()))

    def keys(self) -> set[str]:
        """Return the ids of all keys with a count or a last use."""
        counted = (by_key for days in (self.used, self.refused) for by_key in days.values())
        return {*self.latest, *(key_id for by_key in counted for key_id in by_key)}

    def only(self, key_ids: Collection[str]) -> GatheredUses:
        """Return what was gathered of some keys."""
        used, refused = (
            {day: {one: by_key[one] for one in key_ids if one in by_key} for day, by_key in days.items()}
            for days in (self.used, self.refused)
        )
        latest = {one: self.latest[one] for one in key_ids if one in self.latest}
        return GatheredUses(latest=latest, used=used, refused=refused)

    def used_in_all(self, key_id: str) -> int:
        """Return the total uses of a key over all days."""
        return sum(by_key.get(key_id, 0) for by_key in self.used.values())

    def days(self) -> Iterable[tuple[str, DayUsage]]:
        """Return the counts to add, by key and day, always in the same order."""
        pairs = {
            (key_id, day)
            for days in (self.used, self.refused)
            for day, by_key in days.items()
            for key_id in by_key
        }
        for key_id, day in sorted(pairs):
            used = self.used.get(day, {}).get(key_id, 0)
            refused = self.refused.get(day, {}).get(key_id, 0)
            yield key_id, DayUsage(day=day, used=used, refused=refused)


class KeyUsage:
    """
    Counts the uses of keys since the last flush, and tracks the latest.

    Time and address of a key are updated at most once a minute. A use of a busy key costs two dictionary lookups.

    Args:
        records_addresses: Whether the network of the address is noted.
    """

    def __init__(self, *, records_addresses: bool = True) -> None:
        self.records_addresses = records_addresses
        self._seen: dict[str, LastUse] = {}
        self._due: dict[str, datetime] = {}
        self._used: dict[date, dict[str, int]] = {}
        self._refused: dict[date, dict[str, int]] = {}
        self._used_today: dict[str, int] = {}
        self._refused_today: dict[str, int] = {}
        self._begins = self._ends = datetime.max.replace(tzinfo=UTC)

    def count_use(
        self, key_id: str, *, stored: datetime | None, address: Address | None, now: datetime
    ) -> None:
        """
        Count a use at *now*.

        Args:
            stored: The last use as of when the key was read from the database.
            address: Gives where it comes from; None when nobody knows.
        """
        if not self._begins <= now < self._ends:
            self._turn_to(now)
        # Inlined, because every request with a key runs this.
        if key_id in self._used_today:
            self._used_today[key_id] += 1
        elif len(self._used_today) < _MAX_COUNT:
            self._used_today[key_id] = 1
        due = self._due.get(key_id)
        if stored is not None and (due is None or due < stored + RESOLUTION):
            # Another process recorded it, or this one before it restarted.
            self._note(key_id, stored)
            due = stored + RESOLUTION
        if due is not None and now < due:
            return
        self._note(key_id, now)
        if key_id in self._seen or len(self._seen) < _MAX_COUNT:
            self._seen[key_id] = LastUse(now, self._network(address))

    def count_refusal(self, key_id: str, *, now: datetime) -> None:
        """Count a refusal of a known key."""
        if not self._begins <= now < self._ends:
            self._turn_to(now)
        _add(self._refused_today, key_id, 1)

    def _network(self, address: Address | None) -> str | None:
        if address is None or not self.records_addresses:
            return None
        found = address()
        return None if found is None else shortened_network(found)

    def _turn_to(self, now: datetime) -> None:
        """Count for the day of *now* from here on."""
        day = now.astimezone(UTC).date()
        self._begins = datetime.combine(day, time(), UTC)
        self._ends = self._begins + _DAY if day < date.max else datetime.max.replace(tzinfo=UTC)
        self._used_today = self._used.setdefault(day, {})
        self._refused_today = self._refused.setdefault(day, {})

    def _note(self, key_id: str, at: datetime) -> None:
        """Update time and address of the last use again when `RESOLUTION` has passed since *at*."""
        if len(self._due) >= _MAX_COUNT:
            self._due.clear()
        self._due[key_id] = at + RESOLUTION

    def take(self) -> GatheredUses:
        """Return what was collected and start over."""
        gathered = GatheredUses(latest=self._seen, used=self._used, refused=self._refused)
        self._seen, self._used, self._refused = {}, {}, {}
        self._begins = self._ends
        return gathered

    def give_back(self, gathered: GatheredUses) -> None:
        """Take back what could not be written; newer uses win, and what exceeds the bound is dropped."""
        if len(self._seen) < _MAX_COUNT:
            self._seen = gathered.latest | self._seen
        for mine, theirs in ((self._used, gathered.used), (self._refused, gathered.refused)):
            for day, by_key in theirs.items():
                if day not in mine and len(mine) >= _MAX_DAYS:
                    continue
                counts = mine.setdefault(day, {})
                for key_id, count in by_key.items():
                    _add(counts, key_id, count)


def _add(counts: dict[str, int], key_id: str, count: int) -> None:
    if key_id in counts:
        counts[key_id] += count
    elif len(counts) < _MAX_COUNT:
        counts[key_id] = count
