"""A folder in memory for what lives no longer than the tests."""

from __future__ import annotations

import os
import shutil

MEMORY = "/dev/shm"
ENOUGH_BYTES = 4 * 1024**3


def memory_folder() -> str | None:
    """Name a folder in memory that has room, and whose programs may run; None if there is none."""
    try:
        flags, free = os.statvfs(MEMORY).f_flag, shutil.disk_usage(MEMORY).free
    except OSError:
        return None
    may_run_binaries = not flags & getattr(os, "ST_NOEXEC", 0)
    return MEMORY if free > ENOUGH_BYTES and may_run_binaries and os.access(MEMORY, os.W_OK) else None
