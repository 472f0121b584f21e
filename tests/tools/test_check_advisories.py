"""What the check of advisories makes of the answers it gets, and of none."""

from __future__ import annotations

from tools.check_advisories import ask, verdict_of

SOUND = {"name": "fine", "version": "1.0", "vulns": []}
HOLED = {"name": "holed", "version": "2.0", "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["2.1"]}]}
UNFIXED = {"name": "worse", "version": "3.0", "vulns": [{"id": "GHSA-x", "fix_versions": []}]}
UNKNOWN = {"name": "elsewhere", "skip_reason": "not found"}


def test_hole_in_a_pinned_version_fails() -> None:
    verdict = verdict_of({"dependencies": [SOUND, HOLED, UNFIXED]})
    assert not verdict.is_passed
    assert "holed 2.0: PYSEC-2026-1, fixed in 2.1" in str(verdict)
    assert "worse 3.0: GHSA-x, fixed in no version yet" in str(verdict)


def test_sound_packages_pass_and_are_counted() -> None:
    verdict = verdict_of({"dependencies": [SOUND, UNKNOWN]})
    assert verdict.is_passed
    assert str(verdict) == "advisories: 1 packages, no answer for 1, 0 found"


def test_no_answer_at_all_passes_and_says_so() -> None:
    verdict = verdict_of({"dependencies": [UNKNOWN]})
    assert verdict.is_passed
    assert str(verdict) == "advisories could not be had"


def test_tool_that_does_not_run_is_no_answer() -> None:
    assert str(ask(["no-such-file.txt"])) == "advisories could not be had"
