"""Events appended to a file as lines of JSON, for log shippers and for people."""

from __future__ import annotations

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from czo_auth.core.events.cloudevents import to_cloudevent
from czo_auth.core.events.deliver import SinkUnavailable
from czo_auth.core.events.types import Event


class JsonLines:
    """
    A sink that appends each event as a CloudEvent, one line each, and forces it to disk before it is done.

    The file is opened again after it was moved, so ``logrotate`` does not need to send a signal. A line that a power
    cut truncated is left as it is, and the event is written again on a new line.

    Args:
        path: The file; its folder must exist. Made with mode 0600, as events say who did what.
        source: The source that events name, e.g. the base URL.
        name: The sink's name in the outbox. Two files need two names.
    """

    def __init__(self, path: Path, *, source: str, name: str = "json-lines") -> None:
        self.name = name
        self._path = path
        self._source = source
        self._file: int | None = None
        # One thread: a write that hangs holds up the next one, instead of another thread each time.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="czo-auth-json-lines")

    async def deliver(self, event: Event) -> None:
        cloudevent = to_cloudevent(event, source=self._source)
        line = json.dumps(cloudevent, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._append, line)
        except OSError as error:
            raise SinkUnavailable(f"{self._path.name}: {error.strerror}") from error

    async def close(self) -> None:
        """Close the file; the sink cannot be used afterwards."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _append(self, line: bytes) -> None:
        file = self._current()
        length = os.fstat(file).st_size
        try:
            written = 0
            while written < len(line):
                written += os.write(file, line[written:])
            os.fsync(file)
        except OSError:
            # A full disk may take only the beginning of a line; the whole event will be delivered again.
            with suppress(OSError):
                os.ftruncate(file, length)
            raise

    def _current(self) -> int:
        """Return the descriptor of the file that has this name now."""
        if self._file is not None:
            try:
                if os.path.samestat(os.stat(self._path), os.fstat(self._file)):
                    return self._file
            except FileNotFoundError:
                pass
            self._close()
        self._file = _open_for_lines(self._path)
        return self._file

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _open_for_lines(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            os.write(file, b"\n")
        _sync_folder(path.parent)
    except OSError:
        os.close(file)
        raise
    return file


def _sync_folder(folder: Path) -> None:
    """Force a new file's name to disk: without it, a power cut can lose the file with every line in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
