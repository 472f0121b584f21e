"""The results as JSON, and as a table and a chart in docs/performance.md."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Sequence
from html import escape
from typing import Any

from benchmarks import peers, revision
from benchmarks.measure import OURS, Row
from benchmarks.subjects import ROOT
from czo_auth.version import VERSION

RESULTS = ROOT / "benchmarks/results/latest.json"
PAGE = ROOT / "docs/performance.md"
CHART = ROOT / "docs/performance.svg"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
AGAINST_BEGIN, AGAINST_END = "<!-- against: begin -->", "<!-- against: end -->"
_COLOURS = {OURS: "#0b6e4f", "other": "#8a8f98"}
_BAR, _LEFT, _WIDTH = 20, 390, 960
_INK, _FONT = "#1b1f24", 'font-family="system-ui, sans-serif" font-size="12"'


def machine(*, quick: bool = False, load: str | None = None) -> dict[str, Any]:
    """
    Describe the machine and what is measured on it; to be called before anything is.

    Args:
        load: Where the load comes from, if there is any.
    """
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": load,
        "quick": quick,
        # Of the last minute: a longer average contains what ended long before.
        "loadBefore": round(os.getloadavg()[0], 1),
        **revision.of_tree(ROOT),
    }


def write(rows: Sequence[Row], where: dict[str, Any]) -> None:
    """Write all results."""
    versions = {"czo-auth": VERSION, **peers.versions()}
    lines = [row.as_json() for row in rows]
    RESULTS.parent.mkdir(exist_ok=True)
    document = {"machine": where, "versions": versions, "rows": lines}
    RESULTS.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    CHART.write_text(chart(rows))
    replace_part(BEGIN, END, table(rows, where, versions))


def write_again(rows: Sequence[Row], where: dict[str, Any], part: str) -> None:
    """
    Put *rows*, one part measured again, in the place of its rows in the results; all others stay.

    Args:
        where: The machine of this measurement; the line below the table names its commit.
        part: What they are called.

    Raises:
        ValueError: There are none, because the measurement failed or no part has this name.
    """
    if not rows:
        raise ValueError(f"{part!r} gave no rows")
    document = json.loads(RESULTS.read_text())
    old = [Row(**line) for line in document["rows"]]
    again = {_place(row) for row in rows}
    first = next((number for number, row in enumerate(old) if _place(row) in again), len(old))
    kept = [[row for row in part if _place(row) not in again] for part in (old[:first], old[first:])]
    known = document["machine"]
    known["again"] = known.get("again", {}) | {part: measured_on(where, {"czo-auth": VERSION})}
    write([*kept[0], *rows, *kept[1]], known)


def _place(row: Row) -> tuple[object, ...]:
    return row.operation, row.subject, row.database, row.keys


def write_against(rows: Sequence[Row], where: dict[str, Any], commit: str) -> None:
    """Write the comparison with an older commit, next to the other figures."""
    versions = {"czo-auth": VERSION}
    lines = [row.as_json() for row in rows]
    document = {"machine": where, "versions": versions, "against": commit, "rows": lines}
    RESULTS.parent.mkdir(exist_ok=True)
    against = RESULTS.with_name(f"against-{commit}.json")
    against.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    replace_part(AGAINST_BEGIN, AGAINST_END, table(rows, where, versions, chart=False))


def part(begin: str, end: str) -> str:
    """Return the text of the page between two marks."""
    _, _, rest = PAGE.read_text().partition(begin)
    return rest.partition(end)[0]


def replace_part(begin: str, end: str, text: str) -> None:
    """Put *text* into the page between two marks, each on a line of its own."""
    head, _, rest = PAGE.read_text().partition(begin)
    _, _, tail = rest.partition(end)
    PAGE.write_text(f"{head}{begin}\n{text}\n{end}{tail}")


def table(rows: Sequence[Row], where: dict[str, Any], versions: dict[str, str], *, chart: bool = True) -> str:
    """Return the table, and the machine that it was measured on."""
    picture = "![CPU time of one authenticated request, as a multiple of a raw ASGI hello](performance.svg)"
    lines = [
        *([picture, ""] if chart else []),
        "| operation | subject | database | keys | CPU µs | requests/s | figure | target | met |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    notes: dict[str, None] = {}
    for row in rows:
        plain = row.as_json()
        mark = ""
        if row.note is not None:
            notes.setdefault(row.note)
            mark = f" [{list(notes).index(row.note) + 1}]"
        cells = [
            row.operation,
            row.subject + mark,
            row.database or "",
            "" if row.keys is None else f"{row.keys:,}",
            _plain(plain["cpu_us"]),
            _plain(plain["rps"]),
            "" if row.value is None else f"{_plain(plain['value'])} {row.unit}",
            "" if row.target is None else f"≤ {row.target:g}",
            "" if row.met is None else ("yes" if row.met else "**no**"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *(f"{number}. {note}" for number, note in enumerate(notes, 1)), ""]
    lines.append(measured_on(where, versions))
    lines += [f"Measured again, *{part}*: {line}" for part, line in where.get("again", {}).items()]
    return "\n".join(lines)


def measured_on(where: dict[str, Any], versions: dict[str, str]) -> str:
    """Return the line below a table: the machine, the versions and the commit."""
    machine = f"{where['system']}, {where['cores']} cores, Python {where['python']}"
    load = f", load by {where['load']}" if where["load"] else ""
    quick = ", quick run" if where["quick"] else ""
    reported = dict(versions)
    if where["commit"]:
        changed = " with uncommitted changes" if where["changed"] else ""
        reported["czo-auth"] += f" (commit {where['commit']}{changed})"
    named = ", ".join(f"{name} {version}" for name, version in reported.items())
    return f"{machine}{load}{quick}; load average of the minute before: {where['loadBefore']}. {named}."


def chart(rows: Sequence[Row]) -> str:
    """Draw the requests that are multiples of hello as bars, on a logarithmic scale."""
    bars = [row for row in rows if row.unit == "x hello" and row.value]
    most = max((row.value or 1 for row in bars), default=1)
    span = math.log10(max(most, 10)) + 0.1
    height = 50 + len(bars) * (_BAR + 6)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" {_FONT}>',
        "<title>CPU time of one authenticated request, as a multiple of a raw ASGI hello</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="22" font-size="14" fill="{_INK}">CPU time a request, in raw ASGI hellos (logarithmic)</text>',
    ]
    for number, row in enumerate(bars):
        top = 38 + number * (_BAR + 6)
        value = row.value or 1
        length = max(2, math.log10(max(value, 1)) / span * (_WIDTH - _LEFT - 80))
        keys = f", {row.keys:,} keys" if row.keys else ""
        label = f"{row.subject}: {row.operation}{f', {row.database}' if row.database else ''}{keys}"
        colour = _COLOURS[OURS if row.subject == OURS else "other"]
        parts += [
            f'<text x="{_LEFT - 8}" y="{top + 14}" text-anchor="end" fill="{_INK}">{escape(_short(label))}</text>',
            f'<rect x="{_LEFT}" y="{top}" width="{length:.1f}" height="{_BAR}" fill="{colour}"/>',
            f'<text x="{_LEFT + length + 6:.1f}" y="{top + 14}" fill="{_INK}">{_plain(value)}x</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _short(label: str) -> str:
    return label if len(label) <= 58 else label[:57] + "…"


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
