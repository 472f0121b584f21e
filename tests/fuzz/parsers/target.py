"""What a fuzzed parser is: a function over bytes that says whether they were accepted, and fails where it must."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    One parser with its oracle.

    Attributes:
        check: Feeds bytes to the parser. True: accepted; False: refused as documented. Whatever else comes out of the
            parser, or an assertion that does not hold, is a finding.
        seeds: Inputs to begin with; those that once found something stay here.
        words: Pieces that chance would not hit upon.
        share: Part of the long run that it gets, relative to the others.
    """

    check: Callable[[bytes], bool]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()
    share: float = 1.0


def text_of(data: bytes) -> str:
    """Read bytes as text such as a JSON string can hold, lone surrogates included."""
    return data.decode("utf-8", "surrogatepass" if b"\xed" in data else "replace")


def lenient_text_of(data: bytes) -> str:
    """The same, for bytes that are no UTF-8 at all."""
    try:
        return text_of(data)
    except UnicodeDecodeError:
        return data.decode("latin-1")
