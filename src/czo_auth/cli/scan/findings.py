"""What was found, and how it is told: where a key lies and how it begins, never the key."""

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
        commit: Of a find in the history, the oldest commit that brought it.
    """

    token: str = field(repr=False)
    kind: str
    path: str
    line: int
    column: int
    commit: str | None = None

    @classmethod
    def of(cls, hit: Hit, kind: str, path: str, commit: str | None = None) -> Finding:
        """Place a hit."""
        return cls(token=hit.token, kind=kind, path=path, line=hit.line, column=hit.column, commit=commit)

    @property
    def shown(self) -> str:
        """What may be shown of the token: what lists of keys show too."""
        return self.token[: tokens.SHOWN_CHARACTERS]

    @property
    def fingerprint(self) -> str:
        """Tells equal tokens from others: the beginning of the SHA-256 that the deployment keeps of it."""
        return hashlib.sha256(self.token.encode("ascii")).hexdigest()[:_FINGERPRINT_DIGITS]

    def as_json(self, state: str | None, *, api_key_prefix: str) -> dict[str, object]:
        """Describe it to a script."""
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
        """Describe it to a person: the place in the form that editors open."""
        commit = f"{self.commit}:" if self.commit else ""
        path = tokens.masked(self.path, api_key_prefix=api_key_prefix)
        told = f", {state}" if state else ""
        return f"{commit}{path}:{self.line}:{self.column}: {self.shown}… {self.kind}{told}"
