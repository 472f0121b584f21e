"""Output of commands: a table for people, tabs for pipes, JSON lines for scripts."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from czo_auth.asgi.timestamps import format_timestamp
from czo_auth.core.text import escape_control, relative_time

if TYPE_CHECKING:
    from rich.console import Console

_MAX_CELL = 4096
_MAX_WORD = 40
"""Longest word that a table keeps on one line, so that an id or an address can be copied; longer words are folded."""
_GAP = 3
_BETWEEN, _INDENT = "  ", "    "


def print_json(thing: Mapping[str, object]) -> None:
    """Print one object on one line; ASCII, so that no terminal interprets a name as a command."""
    print(json.dumps(thing, separators=(",", ":")))


def print_line(cells: Sequence[object]) -> None:
    """
    Print one row of a log immediately; tab-separated in a pipe.

    On a terminal that is too narrow for it, the row continues on indented lines, which begin between cells or words, so
    that an id is never wrapped.
    """
    texts = [_cell(value) for value in cells]
    if not sys.stdout.isatty():
        print("\t".join(texts))
        return
    room = shutil.get_terminal_size().columns
    lines = [""]
    for text in texts:
        if len(lines[-1]) + len(_BETWEEN) + len(text) <= room:
            lines[-1] += _BETWEEN + text if lines[-1] else text
            continue
        first, *more = textwrap.wrap(
            text, max(1, room - len(_INDENT)), break_long_words=False, break_on_hyphens=False
        ) or [""]
        lines += [_INDENT + first, *(_INDENT + each for each in more)]
    print("\n".join(line for line in lines if line))


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    styles: Mapping[str, str] | None = None,
) -> None:
    """
    Print rows under their columns: a table on a terminal, else tab-separated lines as they come.

    A terminal shows times relative to now; a pipe gets exact times. A list without rows says so on a
    terminal. No id is wrapped: if a terminal is too narrow for the columns, each row is printed with one field per
        line.

    Args:
        styles: How a terminal shows certain cells, by their text, e.g. ``{"fail": "bold red"}``.
    """
    if not sys.stdout.isatty():
        print("\t".join(columns))
        for row in rows:
            print("\t".join(_cell(value) for value in row))
        return
    from rich.console import Console

    from czo_auth.runtime.clock import utc_now

    console, now = Console(), utc_now()
    shown = [[_relative(value, now) for value in row] for row in rows]
    if not shown:
        console.print("none", style="dim")
        return
    widths = _widths(columns, shown, room=console.width)
    if widths is None:
        for cells in shown:
            _print_pairs(console, zip(columns, cells, strict=True))
            console.print()
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Column, Table
    from rich.text import Text

    header = [Column(name, width=width) for name, width in zip(columns, widths, strict=True)]
    table = Table(*header, box=SIMPLE_HEAD, pad_edge=False)
    for cells in shown:
        # Folded, because a truncated path is useless.
        table.add_row(*(Text(cell, style=(styles or {}).get(cell, ""), overflow="fold") for cell in cells))
    console.print(table)


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], *, room: int) -> list[int] | None:
    """Return the width of each column, at least that of its longest word; None if they do not fit."""
    down = [[name, *(row[place] for row in rows)] for place, name in enumerate(columns)]
    widths = [
        min(_MAX_WORD, max(len(word) for text in texts for word in [*text.split(), ""])) for texts in down
    ]
    wanted = [max(len(text) for text in texts) for texts in down]
    left = room - sum(widths) - _GAP * len(columns)
    if left < 0:
        return None
    # The remaining width goes to the columns that need least, so that the fewest columns are folded.
    for place in sorted(range(len(columns)), key=lambda place: wanted[place] - widths[place]):
        more = min(left, max(0, wanted[place] - widths[place]))
        widths[place] += more
        left -= more
    return widths


def _relative(value: object, now: datetime) -> str:
    """Write a cell for a person: a time by how far away it is."""
    if not isinstance(value, datetime):
        return _cell(value)
    count, unit = relative_time(value, now=now)
    if count == 0:
        return "now"
    amount = f"{abs(count)} {unit[:-1] if abs(count) == 1 else unit}"
    return f"{amount} ago" if count < 0 else f"in {amount}"


def print_fields(fields: Mapping[str, object]) -> None:
    """Print one record, one field per line."""
    if not sys.stdout.isatty():
        for name, value in fields.items():
            print(f"{name}\t{_cell(value)}")
        return
    from rich.console import Console

    _print_pairs(Console(), ((name, _cell(value)) for name, value in fields.items()))


def _print_pairs(console: Console, pairs: Iterable[tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name, text in pairs:
        table.add_row(Text(name, style="dim"), Text(text, overflow="fold"))
    console.print(table)


def print_lines(lines: Iterable[str]) -> None:
    """Print sentences, with terminal control characters escaped; in a pipe they go to stderr."""
    stream = sys.stdout if sys.stdout.isatty() else sys.stderr
    for line in lines:
        print("\n".join(escape_control(part, limit=_MAX_CELL) for part in line.split("\n")), file=stream)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress on stderr if it is a terminal; otherwise nothing."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case True:
            return "yes"
        case False:
            return "no"
        case list() | tuple():
            return ", ".join(_cell(each) for each in value) or "-"
        case datetime():
            return format_timestamp(value)
        case _:
            return escape_control(str(value), limit=_MAX_CELL)
