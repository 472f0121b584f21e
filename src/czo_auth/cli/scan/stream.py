"""A stream of bytes of any length, searched in overlapping pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from czo_auth.cli.scan.token_finder import AFTER, BEFORE, TokenFinder

CHUNK_BYTES = 1 << 20
_LOOKED_AT_FOR_KIND = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """
    A token, and where it begins.

    Attributes:
        line, column: From 1; the column counts bytes.
    """

    token: str = field(repr=False)
    line: int
    column: int


class Searcher:
    """
    Searches streams, one after the other, in one buffer. A stream counts as text unless there is a zero byte near its
    beginning, as in git and grep.
    """

    def __init__(self, token_finder: TokenFinder, *, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._token_finder = token_finder
        self._buffer = bytearray(BEFORE + chunk_bytes + AFTER)
        self._view = memoryview(self._buffer)

    def search(self, read_into: Callable[[memoryview], int | None]) -> Iterator[Hit]:
        """
        Find the tokens of a stream, in order.

        Args:
            read_into: Fills a buffer from its beginning and returns the number of bytes; 0 at the end.
        """
        buffer, view = self._buffer, self._view
        filled = start = line_start = base = 0
        line = 1
        is_text = True
        while True:
            filled, at_end = self._fill(filled, read_into)
            if base == 0:
                is_text = buffer.find(b"\0", 0, min(filled, _LOOKED_AT_FOR_KIND)) < 0
            # A token that begins later may continue in the next piece; it is examined again then.
            stop = filled if at_end else filled - AFTER
            counted = start
            for at, token in self._token_finder.find(buffer, start, stop, filled, is_text=is_text):
                line += buffer.count(b"\n", counted, at)
                counted = at
                begun = buffer.rfind(b"\n", 0, at)
                column = base + at - (line_start if begun < 0 else base + begun + 1)
                yield Hit(token=token, line=line, column=column + 1)
            if at_end:
                return
            line += buffer.count(b"\n", counted, stop)
            begun = buffer.rfind(b"\n", start, stop)
            line_start = line_start if begun < 0 else base + begun + 1
            kept = stop - BEFORE
            view[: filled - kept] = view[kept:filled]
            base, start, filled = base + kept, BEFORE, filled - kept

    def _fill(self, filled: int, read_into: Callable[[memoryview], int | None]) -> tuple[int, bool]:
        """Read until the buffer is full: a pipe gives a little at a time."""
        while filled < len(self._buffer):
            count = read_into(self._view[filled:])
            if not count:
                return filled, True
            filled += count
        return filled, False
