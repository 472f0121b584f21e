"""
Run the tests that failed once more, one at a time: some race real processes against real clocks on a busy machine.

A test that fails twice is broken, and so are many that fail together. Exits with pytest's status.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

# The browser's tests run beside the others, and each run writes its own file when it ends.
FAILED = (Path(".pytest_cache/v/cache/lastfailed"), Path(".pytest_cache/browser/v/cache/lastfailed"))
MAX_BATCH = 25


def main() -> int:
    """Run them, without the others that pytest's own option would add when none of them is left."""
    tests = [test for path in FAILED if path.exists() for test in json.loads(path.read_text())]
    print(f"{len(tests)} tests failed", flush=True)
    if not 0 < len(tests) <= MAX_BATCH:
        return 1
    # The browser's tests need a process without any others.
    apart = [
        [test for test in tests if test.startswith("tests/browser") is browser] for browser in (False, True)
    ]
    return max(
        subprocess.run([sys.executable, "-m", "pytest", "-n", "0", *part], check=False).returncode
        for part in apart
        if part
    )


if __name__ == "__main__":
    sys.exit(main())
