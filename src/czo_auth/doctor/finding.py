"""Findings of the checks, and their states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

State = Literal["ok", "warn", "fail", "unknown"]
"""``unknown`` means that the check could not be made, not that all is well."""

SEVERITY: Final[dict[State, int]] = {"ok": 0, "unknown": 1, "warn": 2, "fail": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    What one check found.

    Attributes:
        id: Of the check; stable.
        found: What was seen. Never a secret.
        meaning: Why it matters.
        advice: What to do; None when there is nothing to do.
        asvs: Requirements of OWASP ASVS 5.0 that the check relates to, e.g. ``6.3.3``. It does not prove them.
    """

    id: str
    state: State
    found: str
    meaning: str
    advice: str | None
    asvs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """
    One check.

    Attributes:
        id, meaning, asvs: As in `Finding`.
    """

    id: str
    meaning: str
    asvs: tuple[str, ...] = ()

    def ok(self, found: str) -> Finding:
        """All is well."""
        return self._finding("ok", found, None)

    def warn(self, found: str, advice: str) -> Finding:
        """It works, and is weaker than it should be."""
        return self._finding("warn", found, advice)

    def fail(self, found: str, advice: str) -> Finding:
        """It does not work, or protects nobody."""
        return self._finding("fail", found, advice)

    def unknown(self, found: str, advice: str | None = None) -> Finding:
        """It could not be checked."""
        return self._finding("unknown", found, advice)

    def _finding(self, state: State, found: str, advice: str | None) -> Finding:
        return Finding(
            id=self.id, state=state, found=found, meaning=self.meaning, advice=advice, asvs=self.asvs
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """
    The results of the checks that relate to one chapter of the ASVS.

    Attributes:
        chapter: ``V6``.
        requirements: How many of its requirements were checked.
        met: Those for which every check is ok.
    """

    chapter: str
    requirements: int
    met: int


def worst(findings: Iterable[Finding]) -> State:
    """Return the worst state among *findings*; ``ok`` when there is none."""
    return max((finding.state for finding in findings), key=SEVERITY.__getitem__, default="ok")


def grades(findings: Iterable[Finding]) -> Sequence[Grade]:
    """Count, by chapter, the requirements that were checked, and those without a negative finding."""
    states: dict[str, list[Finding]] = {}
    for finding in findings:
        for requirement in finding.asvs:
            states.setdefault(requirement, []).append(finding)
    chapters = sorted({int(requirement.partition(".")[0]) for requirement in states})
    return [
        Grade(
            chapter=f"V{chapter}",
            requirements=len(own := [each for each in states if each.startswith(f"{chapter}.")]),
            met=sum(worst(states[each]) == "ok" for each in own),
        )
        for chapter in chapters
    ]
