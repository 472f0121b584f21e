"""Findings, and how they are printed: where a key is and how it begins, never the key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from czo_auth.cli.scan.stream import Hit
from czo_auth.crypto import tokens

_FINGERPRINT_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    One token in one place.

    Attributes:
        path: As it was named; ``-`` for standard input.
        commit: For a finding in the history, the oldest commit that contains it.
    """

    token: str = field(repr=False)
    kind: str
    path: str
    line: int
    column: int
    commit: str | None = None

    @classmethod
    def of(cls, hit: Hit, kind: str, path: str, commit: str | None = None) -> Finding:
        """Make the finding of a hit."""
        return cls(token=hit.token, kind=kind, path=path, line=hit.line, column=hit.column, commit=commit)

    @property
    def shown(self) -> str:
        """The part of the token that may be shown, as in lists of keys."""
        return self.token[: tokens.SHOWN_CHARACTERS]

    @property
    def fingerprint(self) -> str:
        """Identifies the token: the beginning of the SHA-256 that the deployment stores of it."""
        return hashlib.sha256(self.token.encode("ascii")).hexdigest()[:_FINGERPRINT_DIGITS]

    def as_json(self, state: str | None, *, api_key_prefix: str) -> dict[str, object]:
        """Return it for scripts."""
        return {
            "kind": self.kind,
            "prefix": self.shown,
            "fingerprint": self.fingerprint,
            "path": tokens.masked(self.path, api_key_prefix=api_key_prefix),
            "commit": self.commit,
            "line": self.line,
            "column": self.column,
            "state": state,
        }

    def as_line(self, state: str | None, *, api_key_prefix: str) -> str:
        """Return it for people, with the place in the form that editors open."""
        commit = f"{self.commit}:" if self.commit else ""
        path = tokens.masked(self.path, api_key_prefix=api_key_prefix)
        told = f", {state}" if state else ""
        return f"{commit}{path}:{self.line}:{self.column}: {self.shown}… {self.kind}{told}"
