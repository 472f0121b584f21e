"""What the long run says: lines for the terminal, and the same ones for docs/threats.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

THREATS = Path("docs/threats.md")
COMMAND = "| `make fuzz` |"
PARTS = ("parsers", "http", "model")


def rows(reported: dict[str, Any]) -> list[str]:
    """Give the lines of a table: what was tried, by which command, and what was seen."""
    lines = []
    if "parsers" in reported:
        part = reported["parsers"]
        seen = f"{part['inputs']:,} inputs to {len(part['targets'])} parsers: {part['findings']} findings"
        lines.append(f"| parsers, by coverage {COMMAND} {seen} |")
    for server in reported.get("http", {}).get("servers", ()):
        shares = ", ".join(f"{name} {times:,}" for name, times in server["statuses"].items())
        memory = f"{server['memory_before_mib']:.0f} and {server['memory_after_mib']:.0f} MiB"
        # Runs before this was counted do not say it.
        refused = (
            f"; {len(server['only_refused'])} operations were only refused"
            if "only_refused" in server
            else ""
        )
        seen = (
            f"{server['requests']:,} requests to {server['operations']} operations ({shares}){refused}: "
            f"{len(server['findings'])} findings; memory after a round and at the end {memory}"
        )
        lines.append(f"| requests by the schemas, {server['database']} {COMMAND} {seen} |")
    for place in reported.get("model", {}).get("places", ()):
        seen = f"{place['steps']:,} acts, {place['requests']:,} answers, each as the model says"
        lines.append(f"| the model, {place['place']} {COMMAND} {seen} |")
    return lines


def write_threats(reported: dict[str, Any]) -> None:
    """Put the lines where those of the last run stand, once all parts have run."""
    if not all(part in reported for part in PARTS):
        return
    before, *others = THREATS.read_text("utf-8").split("\n")
    lines, new = [before], rows(reported)
    for line in others:
        if COMMAND not in line:
            lines.append(line)
        elif new:
            lines += new
            new = []
    THREATS.write_text("\n".join(lines), "utf-8")
