"""
How fast ``czo-auth scan`` reads, compared with grep and cat on the same files: ``python -m benchmarks.scan [MiB]``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

ROUNDS = 5
MIB = 1 << 20
PATTERN = "czo_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"
PROGRAM = str(Path(sys.executable).with_name("czo-auth"))


def _seconds(command: Sequence[str]) -> float:
    begun = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"}, check=False)
    assert done.returncode in (0, 1), command
    return time.perf_counter() - begun


def _fill(folder: Path, mib: int) -> Path:
    """Write a file of this many MiB: the standard library's sources, repeated."""
    sources = b"".join(path.read_bytes() for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")))
    large = folder / "large"
    with large.open("wb") as out:
        while out.tell() < mib * MIB:
            out.write(sources)
        out.truncate(mib * MIB)
    return large


def main(mib: int = 512) -> int:
    """Measure in turns, and print medians of whole processes, start included."""
    with tempfile.TemporaryDirectory(prefix="czo-scan-") as folder:
        large = str(_fill(Path(folder), mib))
        empty = str(Path(folder) / "empty")
        Path(empty).touch()
        commands = {
            "cat": ["cat", large],
            "grep -c czo_": ["grep", "-c", "czo_", large],
            "grep -cE, the whole pattern": ["grep", "-cE", PATTERN, large],
            "czo-auth scan": [PROGRAM, "scan", large],
            "czo-auth scan --all-kinds": [PROGRAM, "scan", "--all-kinds", large],
            "czo-auth scan, an empty file": [PROGRAM, "scan", empty],
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                taken[name].append(_seconds(command))
    middle = {name: median(times) for name, times in taken.items()}
    scan = middle["czo-auth scan"]
    for name, seconds in middle.items():
        print(f"{name:30} {seconds:7.3f} s   {mib / seconds:7.0f} MiB/s   scan takes {scan / seconds:5.2f} x")
    return 0


if __name__ == "__main__":
    sys.exit(main(*[int(text) for text in sys.argv[1:]]))
