"""The public names are typed: an embedder's code and the examples pass mypy --strict, and mistakes do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.mark.deep
def test_embedders_code_is_typed_and_mistakes_are_found() -> None:
    targets = [str(HERE / "embedder.py"), str(HERE / "mistakes.py"), "examples"]
    # A cache of its own: the project's own check runs with other settings.
    cache = ROOT / ".mypy_cache" / "embedder"
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file", str(HERE / "mypy.ini")),
            *("--cache-dir", str(cache), "--no-error-summary", *targets),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
