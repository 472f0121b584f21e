"""No test is left out: `make test` and `make test-deep` together run all of them, and none is run by both."""

from __future__ import annotations

import re
from pathlib import Path

MAKEFILE = Path(__file__).parents[2] / "Makefile"
APART = "tests/browser"
COMMAND = re.compile(r"python -m pytest (.*?)(?:\n\n|;|\n\t(?=\$))", re.DOTALL)


def selections(*targets: str) -> set[tuple[str, bool]]:
    """Return which mark each run of *targets* selects, and whether among the browser's tests."""
    found = []
    for target in targets:
        recipe = re.search(rf"^{target}:.*?\n\n", MAKEFILE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        assert recipe is not None, target
        for command in COMMAND.findall(recipe[0]):
            mark = re.search(r'-m ("not deep"|deep)', command)
            assert mark is not None, command
            found.append((mark[1].strip('"'), f"--ignore {APART}" not in command))
            assert f"--ignore {APART}" in command or re.search(rf" {APART}\s", f"{command} "), command
    assert len(found) == len(set(found)), found
    return set(found)


def test_both_runs_cover_both_parts() -> None:
    assert selections("test-main", "test-browser") == {("not deep", False), ("not deep", True)}
    assert selections("test-deep") == {("deep", False), ("deep", True)}
