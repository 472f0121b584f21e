"""Files and folders on the disk: everything that can be read without blocking."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Problem = Callable[[str, str], None]
"""Called with a path and the reason why it cannot be read."""


@dataclass(frozen=True, slots=True)
class File:
    """
    A file to look through.

    Attributes:
        named: Whether the user named it itself, not a folder above it.
    """

    path: str
    size: int
    named: bool = False


def walk(paths: list[str], problem: Problem) -> Iterator[File]:
    """
    Find the files at and below *paths*, hidden ones too: the files of a folder by name, then its folders.

    Symbolic links, pipes, sockets and devices below a folder are skipped; links that are named are followed. Git's
    stored objects are skipped too, because they are compressed.
    """
    for path in paths:
        try:
            found = os.stat(path)
        except OSError as error:
            problem(path, error.strerror or "cannot be read")
            continue
        if stat.S_ISDIR(found.st_mode):
            yield from _below(path, problem)
        else:
            yield File(path, found.st_size, named=True)


def _below(folder: str, problem: Problem) -> Iterator[File]:
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            problem(folder, error.strerror or "cannot be read")
            continue
        names = {entry.name for entry in inside}
        stores_objects = {"HEAD", "objects", "refs"} <= names
        folders = []
        for entry in inside:
            if entry.is_dir(follow_symlinks=False):
                if not (stores_objects and entry.name == "objects"):
                    folders.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield File(entry.path, _size(entry))
        waiting.extend(reversed(folders))


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def open_to_read(file: File) -> int:
    """
    Open a file; returns the descriptor.

    A file that was replaced by a pipe must not block, and a link must not lead elsewhere.

    Raises:
        OSError: It cannot be read, or is not a file any more.
    """
    if file.named:
        return os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(0, "is no longer a file")
