"""The comparison of the API between two revisions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_help_names_the_arguments() -> None:
    asked = [sys.executable, "tools/compare_api.py", "--help"]
    printed = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "BEFORE [AFTER]" in printed


def test_no_revision_is_a_usage_error() -> None:
    ended = subprocess.run(
        [sys.executable, "tools/compare_api.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "BEFORE" in ended.stderr
