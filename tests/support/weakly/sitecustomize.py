"""Makes every Python process whose PYTHONPATH has this folder hash at the least cost; see ``weak_hashes.py``."""

from __future__ import annotations

import sys
from pathlib import Path

# At the end, where the tests' own packages hide no others of the same names.
sys.path.append(str(Path(__file__).parents[3]))

from tests.support.weak_hashes import hash_weakly

hash_weakly()
