"""
Detects commits without asking SQLite: by the header of the write-ahead log's index, in memory that all connections
share.

SQLite itself compares these bytes to learn whether its cache is out of date; each commit writes them before it
returns. ``PRAGMA data_version`` returns the same, but as a statement it releases the interpreter's lock three times,
which costs a server with other threads more than everything else about a cached key.

Source: the WAL-mode file format of SQLite, section 2.1 (the WAL-index header, twice 48 bytes).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
from typing import Final

HEADER_BYTES: Final = 96
_MAPPED_BYTES: Final = 4096

_guard = threading.Lock()
_handles: Final[dict[tuple[int, int], tuple[int, mmap.mmap]]] = {}
"""By device and inode. Closing any descriptor of the file releases SQLite's locks on it in this process."""


def header_of(path: str) -> mmap.mmap | None:
    """
    Map the header of the index that belongs to the database at *path*, to be sliced to `HEADER_BYTES`.

    To be looked at only while a connection of this process is open that has read: it keeps the file from being
    replaced or cut.

    Returns:
        None where there is no such file, or it cannot be shared; then ask SQLite.
    """
    if os.name != "posix":
        return None
    name = path + "-shm"
    try:
        with _guard:
            _close_deleted()
            seen = os.stat(name)
            known = _handles.get((seen.st_dev, seen.st_ino))
            return known[1] if known is not None else _map(name)
    except (OSError, ValueError):
        return None


def _map(name: str) -> mmap.mmap:
    handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    opened = os.fstat(handle)
    mapped = mmap.mmap(handle, _MAPPED_BYTES, access=mmap.ACCESS_READ)
    # The end of the interpreter must not close it either, while a last commit may be under way in a thread.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(mapped))
    _handles[opened.st_dev, opened.st_ino] = handle, mapped
    return mapped


def _close_deleted() -> None:
    """Close what belongs to deleted files: SQLite deletes one when no connection to it is left anywhere."""
    for identity, (handle, mapped) in list(_handles.items()):
        if os.fstat(handle).st_nlink == 0:
            del _handles[identity]
            mapped.close()
            os.close(handle)
            ctypes.pythonapi.Py_DecRef(ctypes.py_object(mapped))


def _after_fork() -> None:
    global _guard
    _guard = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
