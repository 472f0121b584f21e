"""
Paging of lists: queries and pages.

A list is sorted by creation time, then by id. A cursor contains both of the last row of the previous page, so that rows
added or deleted in between neither repeat nor hide others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypeVar

from czo_auth.core.errors import ValidationFailed
from czo_auth.core.ids import is_id
from czo_auth.core.limits import DEFAULT_PAGE, MAX_COUNTED, MAX_CURSOR

T = TypeVar("T")

Position = tuple[datetime, str]
"""When a row was created, and its id."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_MILLISECONDS = 10**14
_BAD_CURSOR = "This is not the cursor of a page before."


@dataclass(frozen=True, slots=True, kw_only=True)
class PageQuery:
    """
    The requested part of a list.

    Attributes:
        limit: Rows; callers that get it from a client must bound it by `limits.MAX_PAGE`.
        cursor: The `next_cursor` of the page before; None for the first page.
        backward: Whether the page ends before *cursor*, the `previous_cursor` of the page after it, instead of
            beginning after it. In lists that sort by id alone.
        counts_all: Whether all matches of a filter are counted; if not, up to `limits.MAX_COUNTED`.
    """

    limit: int = DEFAULT_PAGE
    cursor: str | None = None
    backward: bool = False
    counts_all: bool = True

    @property
    def position(self) -> Position | None:
        """
        The row after which the page begins; None for the first page.

        Raises:
            ValidationFailed: The cursor is not one of ours.
        """
        return None if self.cursor is None else _read(self.cursor)

    @property
    def last_id(self) -> str | None:
        """
        The id after which the page begins, in lists that sort by id alone; None for the first page.

        Raises:
            ValidationFailed: The cursor is not an id.
        """
        if self.cursor is not None and not is_id(self.cursor):
            raise ValidationFailed(details=(("cursor", _BAD_CURSOR),))
        return self.cursor


FIRST_PAGE = PageQuery()


class CountRows(Protocol):
    """Counts the rows of a list, at most *up_to*; None counts all."""

    def __call__(self, *, up_to: int | None) -> int:
        """Count them."""


@dataclass(frozen=True, slots=True)
class Total:
    """
    How many rows a list has.

    Attributes:
        is_lower_bound: Whether there are more than *rows*, and it is not known how many.
    """

    rows: int
    is_lower_bound: bool = False

    @classmethod
    def of(cls, count: CountRows, *, is_filtered: bool, counts_all: bool) -> Total:
        """
        Count the rows of a list: all of them, or up to `limits.MAX_COUNTED` of those that match a filter.

        Counting the matches of a filter reads each row, and there may be many. Programs get the whole count; a page for
        people does not wait for it.

        Args:
            counts_all: Whether the matches of a filter are all counted too.
        """
        if counts_all or not is_filtered:
            return cls(count(up_to=None))
        counted = count(up_to=MAX_COUNTED + 1)
        return cls(min(counted, MAX_COUNTED), is_lower_bound=counted > MAX_COUNTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """
    A part of a list.

    Attributes:
        total: Rows of the whole list.
        total_is_lower_bound: Whether the list has more rows than *total*, and it is not known how many.
        next_cursor: Where the next page begins; None at the end.
        previous_cursor: Where the page before ends; None at the beginning, and in lists that go forward only.
    """

    items: Sequence[T]
    total: int
    total_is_lower_bound: bool = False
    next_cursor: str | None = None
    previous_cursor: str | None = None


def page_of(
    found: Sequence[T], request: PageQuery, *, total: int, position: Callable[[T], Position]
) -> Page[T]:
    """
    Make a page.

    Args:
        found: The rows of the page, and one more when there is a next one.
        position: Gives when a row was created, and its id.
    """
    items = found[: request.limit]
    goes_on = len(found) > request.limit and bool(items)
    return Page(items=items, total=total, next_cursor=_write(position(items[-1])) if goes_on else None)


def page_by_id(
    found: Sequence[T],
    request: PageQuery,
    *,
    count: CountRows,
    is_filtered: bool = False,
    id_of: Callable[[T], str],
) -> Page[T]:
    """
    Make a page of a list that sorts by id alone.

    Args:
        found: The rows of the page in the order of the list, and one more where there is one beyond it.
        count: Called unless the page is the whole list.
        is_filtered: Whether the list contains only the rows that match a filter.
    """
    goes_on = len(found) > request.limit
    is_whole = request.cursor is None and not goes_on
    total = (
        Total(len(found))
        if is_whole
        else Total.of(count, is_filtered=is_filtered, counts_all=request.counts_all)
    )
    if request.backward:
        items, has_next, has_previous = found[-request.limit :], True, goes_on
    else:
        items, has_next, has_previous = found[: request.limit], goes_on, request.cursor is not None
    return Page(
        items=items,
        total=total.rows,
        total_is_lower_bound=total.is_lower_bound,
        next_cursor=id_of(items[-1]) if items and has_next else None,
        previous_cursor=id_of(items[0]) if items and has_previous else None,
    )


def _write(position: Position) -> str:
    at, row_id = position
    return f"{(at - _EPOCH) // timedelta(milliseconds=1)}.{row_id}"


def _read(cursor: str) -> Position:
    milliseconds, _, row_id = cursor[: MAX_CURSOR + 1].partition(".")
    if not (milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) <= 14 and is_id(row_id)):
        raise ValidationFailed(details=(("cursor", _BAD_CURSOR),))
    return _EPOCH + timedelta(milliseconds=min(int(milliseconds), _MAX_MILLISECONDS)), row_id
