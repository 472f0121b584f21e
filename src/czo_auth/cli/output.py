"""What commands print: a table for people, tabs for pipes, JSON lines for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from czo_auth.core.text import escape_control

_MAX_CELL = 4096


def print_json(thing: Mapping[str, object]) -> None:
    """Print one object on one line; ASCII, so that no terminal takes a name for a command."""
    print(json.dumps(thing, separators=(",", ":")))


def print_line(cells: Sequence[object]) -> None:
    """Print one row of a log as it comes."""
    print(("  " if sys.stdout.isatty() else "\t").join(_cell(value) for value in cells))


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    styles: Mapping[str, str] | None = None,
) -> None:
    """
    Print rows under their columns: a table on a terminal, else tab-separated lines as they come.

    Args:
        styles: How a terminal shows certain cells, by their text, e.g. ``{"fail": "bold red"}``.
    """
    if not sys.stdout.isatty():
        print("\t".join(columns))
        for row in rows:
            print("\t".join(_cell(value) for value in row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        # Folded, since an id or a path that lost its end is of no use.
        cells = [_cell(value) for value in row]
        table.add_row(*(Text(cell, style=(styles or {}).get(cell, ""), overflow="fold") for cell in cells))
    Console().print(table)


def print_fields(fields: Mapping[str, object]) -> None:
    """Print one thing, a field a line."""
    if not sys.stdout.isatty():
        for name, value in fields.items():
            print(f"{name}\t{_cell(value)}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name, value in fields.items():
        table.add_row(Text(name, style="dim"), Text(_cell(value)))
    Console().print(table)


def print_lines(lines: Iterable[str]) -> None:
    """Print sentences, each as it is but for what a terminal would take for a command; those of a pipe go to stderr."""
    stream = sys.stdout if sys.stdout.isatty() else sys.stderr
    for line in lines:
        print("\n".join(escape_control(part, limit=_MAX_CELL) for part in line.split("\n")), file=stream)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show on stderr how far something is, on a terminal; elsewhere nothing."""
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
        case _:
            return escape_control(str(value), limit=_MAX_CELL)
