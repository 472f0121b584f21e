"""The mutants of a module, and a trial of one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.mutation.mutants import mutants_of

pytestmark = pytest.mark.deep

ROOT = Path(__file__).parents[2]
SOURCE = '''"""Doc."""
from dataclasses import dataclass

MOST = 3

@dataclass(frozen=True)
class Box:
    """Doc."""
    size: int = 1

def fits(box: Box, room: int = MOST) -> bool:
    """Doc."""
    if not box.size <= room:
        raise ValueError("too large")
    return True
'''


def test_each_mutant_changes_one_thing_and_has_a_name_of_its_own() -> None:
    mutants = list(mutants_of(SOURCE))
    names = [mutant.name for mutant in mutants]
    assert len(names) == len(set(names)) == len({mutant.source for mutant in mutants})
    assert "module: 3 → 4 in MOST = 3" in names
    assert "fits: box.size <= room → box.size < room" in names
    assert "fits: not box.size <= room → box.size <= room" in names
    assert "fits: raise ValueError('too large') → pass" in names
    assert "fits: True → False in return True" in names
    for mutant in mutants:
        compile(mutant.source, "mutant", "exec")


def test_what_nobody_relies_on_is_left_alone() -> None:
    for mutant in mutants_of(SOURCE):
        assert "frozen" not in mutant.name
        assert "Doc" not in mutant.name
        assert mutant.source.count("too large") == (0 if mutant.name.endswith("→ pass") else 1)


def test_what_runs_at_import_is_distinguished() -> None:
    at_import = {mutant.name: mutant.at_import for mutant in mutants_of(SOURCE)}
    assert at_import["module: 3 → 4 in MOST = 3"] is True
    assert at_import["fits: True → False in return True"] is False


@pytest.mark.parametrize(
    ("old", "new", "outcome"),
    [("== 64", "== 65", ["killed", "test_it"]), ("== 64", "==  64", ["survived"])],
)
def test_trial_says_which_test_noticed(tmp_path: Path, old: str, new: str, outcome: list[str]) -> None:
    module = tmp_path / "tried_out.py"
    module.write_text("def is_right(n):\n    return n == 64\n")
    (tmp_path / "test_tried_out.py").write_text(
        "import tried_out\n\ndef test_it():\n    assert tried_out.is_right(64)\n"
    )
    changed = module.read_text().replace(old, new)
    code = (
        "from tools.mutation import trial\n"
        f"tests = [{str(tmp_path / 'test_tried_out.py')!r}]\n"
        f"found = trial.run('tried_out', {changed!r}, tests, seconds=60)\n"
        "print(found.outcome, (found.noticed_by or '').rpartition('::')[2])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{tmp_path}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == outcome


WITNESSES = """
import tried_out

def test_number():
    assert tried_out.is_right(64)

def test_text():
    assert tried_out.is_text("x")

state = []

def test_that_fails_anyway():
    tried_out.is_right(64)
    assert not state.append(1) and False
"""
SWAPPING = """
from pathlib import Path
from tools.mutation import trial
from tools.mutation.reach import InProcess, Reach
from tools.mutation.swapped import Collected

path, tests = Path({path!r}), {tests!r}
there = path.with_name("reached")

def note():
    reach = Reach({{str(path)}})
    with reach.noting(path.parent):
        trial.run_tests([tests], InProcess(), reach)
    lines = {{name: test["lines"].get(str(path)) for name, test in reach.tests.items()}}
    there.write_text(repr(lines))
    return 0

trial.in_fork(note, seconds=60)
lines = eval(there.read_text())
print(*(f"{{name.rpartition('::')[2]}}:{{found}}" for name, found in lines.items()), sep="\\n")
collected = Collected((tests,))
names = dict.fromkeys(reversed(lines), 1.0)
for old, new in [("== 64", "== 65"), ("== 64", "==  64"), ("is str", "is not str")]:
    found = collected.run("tried_out", path, path.read_text().replace(old, new), names)
    print(found.outcome, (found.noticed_by or "").rpartition("::")[2])
collected.close()
"""


def test_functions_are_changed_in_a_process_that_has_the_tests_collected(tmp_path: Path) -> None:
    """A test that fails on the unchanged code as well is no witness."""
    module = tmp_path / "tried_out.py"
    module.write_text(
        'def is_right(n):\n    return n == 64\n\ndef is_text(a):\n    "Doc."\n    return type(a) is str\n'
    )
    tests = tmp_path / "test_tried_out.py"
    tests.write_text(WITNESSES)
    done = subprocess.run(
        [sys.executable, "-c", SWAPPING.format(path=str(module), tests=str(tests))],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{tmp_path}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "test_number:[2]",
        "test_text:[6]",
        "test_that_fails_anyway:[2]",
        "killed test_number",
        "survived ",
        "killed test_text",
    ]


KILLED = """
import tempfile, time
from pathlib import Path
from tools.mutation.trial import in_fork

def hang() -> int:
    Path(tempfile.mkdtemp(), "begun").touch()
    time.sleep(60)
    return 0

print(in_fork(hang, seconds=0.5))
"""


def test_trial_that_is_killed_leaves_no_file(tmp_path: Path) -> None:
    """A run has hundreds of them."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "None\n"
    assert list(tmp_path.iterdir()) == []
