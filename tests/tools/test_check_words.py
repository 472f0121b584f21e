"""tools/check_words.py: what it refuses, and what it leaves alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.check_words import faults, main


@pytest.mark.parametrize(
    "line",
    [
        "def act(provenance: str) -> None: ...",
        "MOST_KEYS = 3",
        "tx.two_factor.put_enrolment(new)",
        "# Whoever holds the key",
        "czo_auth_answers_total 3",
        "async def two_doors() -> None: ...",
        "def test_last_owner_stays_whoever_asks() -> None: ...",
        "raise CannotFoundOrganization",
    ],
)
def test_given_up_names_and_words_are_refused(line: str) -> None:
    assert list(faults(line))


@pytest.mark.parametrize(
    "line",
    [
        'bound_to = {"user": user.id, "enrolment": enrollment_id}',
        'rows = "SELECT id FROM czo_auth_enrolments"',
        "what = that_which_chats(almost, longest)",
        "MAX_KEYS = 3",
    ],
)
def test_stored_spellings_and_other_words_are_left_alone(line: str) -> None:
    assert list(faults(line)) == []


def test_every_fault_of_a_tree_is_named_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("x = 1\n# put on another hat\n")
    assert main(tmp_path) == 1
    assert "src/a.py:2: 'hat': say actor type" in capsys.readouterr().out
    (tmp_path / "src" / "a.py").write_text("x = 1\n")
    (tmp_path / "README.md").write_text("Knock at the door.\n")
    assert main(tmp_path) == 1
    assert "README.md:1: 'door'" in capsys.readouterr().out
    (tmp_path / "README.md").write_text("# Title\n")
    assert main(tmp_path) == 0
