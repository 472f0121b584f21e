"""
Ask for published security advisories on the pinned packages, and fail where there is one.

Whether advisories can be had depends on the network and on the package index of the machine. Where they cannot, this
says so and passes: a check that nobody can run must not stop those who cannot, and must not read as "no holes" either.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ANSWER_SECONDS = 5
"""How long one request may wait; a network that swallows requests should not hold up the checks for long."""
WHOLE_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    The result of the check.

    Attributes:
        asked: Packages that were checked.
        unknown: Packages that could not be checked.
        holes: One line for each advisory that concerns a pinned version.
    """

    asked: int
    unknown: int
    holes: tuple[str, ...]

    @property
    def is_passed(self) -> bool:
        return not self.holes

    def __str__(self) -> str:
        if not self.asked:
            return "advisories could not be had"
        without = f", no answer for {self.unknown}" if self.unknown else ""
        return "\n".join(
            [*self.holes, f"advisories: {self.asked} packages{without}, {len(self.holes)} found"]
        )


def verdict_of(report: Mapping[str, Any]) -> Verdict:
    """Read the JSON report of pip-audit."""
    packages = report.get("dependencies", [])
    answered = [package for package in packages if "skip_reason" not in package]
    holes = [
        f"{package['name']} {package['version']}: {hole['id']}, "
        f"fixed in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for package in answered
        for hole in package["vulns"]
    ]
    return Verdict(asked=len(answered), unknown=len(packages) - len(answered), holes=tuple(holes))


def ask(requirements: Sequence[str]) -> Verdict:
    """Run pip-audit on requirements files with hashes; what it cannot reach counts as unknown."""
    files = [part for file in requirements for part in ("--requirement", file)]
    options = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json"]
    command = [sys.executable, "-m", "pip_audit", *options, "--timeout", str(ANSWER_SECONDS), *files]
    nothing = Verdict(asked=0, unknown=0, holes=())
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=WHOLE_SECONDS, check=False)
        return verdict_of(json.loads(ran.stdout))
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        # Its own message may name the address of an index, so it is not repeated.
        return nothing


def main(requirements: Sequence[str]) -> int:
    """Print the report and the time that it took; the status is 1 if a pinned version has a known vulnerability."""
    started = time.perf_counter()
    verdict = ask(requirements)
    print(f"{verdict} ({time.perf_counter() - started:.1f} s)")
    return 0 if verdict.is_passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
