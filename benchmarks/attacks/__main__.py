"""Try every case on every available server, and write ``docs/peers.md``."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import peers
from benchmarks.attacks.cases import CASES
from benchmarks.attacks.subjects import Attacked, subjects
from benchmarks.subjects import ROOT
from czo_auth.version import VERSION

PAGE = ROOT / "docs/peers.md"
BEFORE, AFTER = "<!-- results -->\n", "<!-- end of results -->"
CASE_SECONDS = 300


def main() -> int:
    """Run, print and write; the status is 1 if this product itself could not be tried."""
    with tempfile.TemporaryDirectory() as folder:
        seen = {server.name: asyncio.run(_ask(server)) for server in subjects(Path(folder))}
    table = _table(seen)
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEFORE)
    PAGE.write_text(f"{head}{BEFORE}\n{table}\n{AFTER}{rest.partition(AFTER)[2]}", "utf-8")
    return int(any("not " in answer for answer in seen["czo-auth"]))


async def _ask(server: Attacked) -> list[str]:
    try:
        server.start()
    except (RuntimeError, AssertionError) as error:
        print(f"{server.name} does not start: {error}", file=sys.stderr)
        return ["not run: the server did not start"] * len(CASES)
    answers = []
    try:
        for case in CASES:
            try:
                answer = await asyncio.wait_for(case(server), CASE_SECONDS)
            except Exception as error:  # a case that cannot be tried does not stop the others
                answer = f"not run: {error}"
            print(f"{server.name}: {case.__doc__}: {answer}", flush=True)
            answers.append(answer)
    finally:
        server.stop()
    return answers


def _table(seen: dict[str, list[str]]) -> str:
    versions = {"czo-auth": VERSION, **peers.versions()}
    today = datetime.now(UTC).date().isoformat()
    heads = [f"{name} {versions.get(name, '')}".strip() for name in seen]
    lines = [
        f"Run on {today}, over SQLite, one process each.",
        "",
        "| attack | " + " | ".join(heads) + " |",
        "| --- |" + " --- |" * len(heads),
    ]
    for index, case in enumerate(CASES):
        cells = [answers[index].replace("|", "\\|") for answers in seen.values()]
        lines.append(f"| {case.__doc__} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
