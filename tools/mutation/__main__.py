"""
Run the mutants that have no result yet, and report.

``python -m tools.mutation [--minutes N] [--near] [--write] [MODULE…]``. Results are kept in ``.mutation/``, so that a
run that was cut short continues where it ended: a mutant that was killed stays so while the code of its module is the
same, one that
survived is tried again when a test does. ``--write`` brings the table of ``docs/mutation.md`` up to date. The
status is 1 when a mutant survives that nobody explained, 2 when the time was up before the last one.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import importlib
import json
import os
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from tools.mutation import trial
from tools.mutation.mutants import Mutant, mutants_of
from tools.mutation.reach import InProcess, Reach
from tools.mutation.swapped import Collected
from tools.mutation.trial import Outcome, Trial

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".mutation"
PAGE = ROOT / "docs/mutation.md"
EXPLAINED = Path(__file__).with_name("explained.toml")
TARGETS = (
    "crypto/*",
    "core/two_factor/*",
    "core/api_keys/*",
    "core/sessions/*",
    "core/flows/two_factor/verify_code",
    "core/flows/sign_in/second_factor",
    "core/flows/sessions/refresh",
    "core/flows/authentication/authenticate",
    "core/flows/authentication/cache",
    "core/budgets",
    "core/passkeys/*",
    "core/flows/passkeys/verify",
    "core/flows/passkeys/ceremonies",
    "core/devices/user_code",
    "core/flows/devices/authorize",
    "core/flows/api_keys/restrictions",
    "core/flows/api_keys/new_key",
    "core/flows/api_keys/changes",
    "core/flows/organizations/owners",
    "core/flows/organizations/members",
)
TESTS = ("tests/crypto", "tests/core", "tests/contract")
"""Nearest first: a mutant meets the tests of the first folder that reach its line, then those of the next."""
LEFT_OUT = ("insecure",)
"""Weak on purpose, for the tests of those who embed the product."""
LOOK_AT_CLASSES = ("tests/core/test_hidden_secrets.py",)
"""Tests that ask what a class shows, without running a line of its module."""
REACH_SECONDS = 7200
ROUND_SECONDS = 45
"""Processor time of the tests of one folder per mutant, the quickest first; further ones are left out."""
BEST = 8
"""Number of tests that killed other mutants of a module and run first for each of its mutants, in one round."""


@dataclass
class Score:
    """The results of the mutants of one module."""

    killed: int = 0
    explained: int = 0
    survived: list[Mutant] = field(default_factory=list)
    left: int = 0

    @property
    def total(self) -> int:
        return self.killed + self.explained + len(self.survived) + self.left


def main() -> int:
    """Run the remaining mutants, report, and return the status."""
    arguments = _arguments()
    os.chdir(ROOT)
    # When this process is ended, it ends the trial too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ["CI"] = "1"  # Hypothesis then tries the same examples each time.
    KEPT.mkdir(exist_ok=True)
    for name in trial.THIRD_PARTY:
        importlib.import_module(name)
    gc.freeze()
    modules = _modules(arguments.modules)
    folders = TESTS[:-1] if arguments.near else TESTS
    explained = tomllib.loads(EXPLAINED.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as people:
        if not arguments.near:
            trial.keep_people(Path(people))
        runs = Runs(folders, ends=time.monotonic() + arguments.minutes * 60)
        try:
            scores = {_short(path): runs.score(path, explained.get(_short(path), {})) for path in modules}
        finally:
            runs.close()
    table = _table(scores)
    print(table)
    if arguments.write:
        _write(table)
    unexplained = any(score.survived for score in scores.values())
    return 1 if unexplained else 2 if any(score.left for score in scores.values()) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="part of a path, such as crypto/totp")
    parser.add_argument("--minutes", type=float, default=60, help="stop after so long; default 60")
    parser.add_argument("--near", action="store_true", help=f"leave {TESTS[-1]} out")
    parser.add_argument("--write", action="store_true", help="write the table into docs/mutation.md")
    return parser.parse_args()


def _modules(wanted: list[str]) -> list[Path]:
    found = [path for target in TARGETS for path in sorted((ROOT / "src/czo_auth").glob(f"{target}.py"))]
    return [
        path
        for path in found
        if path.stem not in LEFT_OUT
        and any(mutants_of(path.read_text("utf-8")))
        and (not wanted or any(part in str(path) for part in wanted))
    ]


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT / "src/czo_auth").with_suffix(""))


@dataclass
class Reached:
    """Which lines of the modules the tests of a folder run."""

    key: str
    """What the answers of all files depend on."""
    files: dict[str, str] = field(default_factory=dict)
    """The digests of the test files that were asked."""
    tests: dict[str, Any] = field(default_factory=dict)
    """The lines and seconds of each test."""
    outside: list[tuple[str, int]] = field(default_factory=list)
    """The file and line of statements that ran before the first test."""


@cache
def _reach(folder: str) -> Reached:
    """Ask the tests of a folder once which lines they run; a file again when it changes, and all when a module does."""
    modules = {str(path) for path in _modules([])}
    tests = {str(path.relative_to(ROOT)): path for path in _tests_in(folder)}
    digests = {name: _digest([path]) for name, path in tests.items() if path.name.startswith("test_")}
    common = [path for name, path in tests.items() if name not in digests]
    key = _digest([*map(Path, sorted(modules)), *common])
    kept = KEPT / f"reach-{Path(folder).name}.json"
    reached = Reached(**json.loads(kept.read_text())) if kept.exists() else Reached(key)
    if reached.key != key:
        reached = Reached(key)
    changed = sorted(name for name in digests if reached.files.get(name) != digests[name])
    if changed:
        print(f"asking {len(changed)} files of {folder} which lines they run", flush=True)
        answer = KEPT / f"answer-{os.getpid()}.json"
        log = kept.with_suffix(".log")
        trial.in_fork(partial(_note_reach, changed, answer, modules), seconds=REACH_SECONDS, output=log)
        if not answer.exists():
            sys.exit(f"{folder} did not run through; see {log}")
        same = digests.keys() - set(changed)
        known = {name: test for name, test in reached.tests.items() if name.partition("::")[0] in same}
        new, outside = json.loads(answer.read_text())
        reached = Reached(key, digests, {**known, **new}, [*reached.outside, *outside])
        answer.write_text(json.dumps(vars(reached)))
        answer.rename(kept)
    return reached


def _note_reach(files: list[str], answer: Path, modules: set[str]) -> int:
    reach = Reach(modules)
    with reach.noting(ROOT / "src"):
        status = trial.run_tests(files, InProcess(), reach)
    # A test that fails on the unchanged code would kill every mutant.
    tests = {name: test for name, test in reach.tests.items() if name not in reach.failed}
    answer.write_text(json.dumps([tests, sorted(reach.outside)]))
    return status


def _tests_in(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Runs:
    """The trials, with the stored results."""

    def __init__(self, folders: tuple[str, ...], *, ends: float) -> None:
        self._folders = folders
        self._ends = ends
        self._tests = _digest(path for folder in TESTS for path in _tests_in(folder))
        self._kept = KEPT / "results.jsonl"
        self._results: dict[str, tuple[Outcome, str]] = {}
        self._noticing: dict[str, Counter[str]] = defaultdict(Counter)
        self._collected: dict[tuple[str, ...], Collected] = {}
        if self._kept.exists():
            for line in self._kept.read_text("utf-8").splitlines():
                result = json.loads(line)
                self._results[result["key"]] = (result["outcome"], result["tests"])
                if result["by"]:
                    self._noticing[result["name"].partition(" ")[0]][result["by"]] += 1

    def close(self) -> None:
        """End the processes that were kept for the next mutant."""
        for collected in self._collected.values():
            collected.close()

    def score(self, path: Path, explained: dict[str, str]) -> Score:
        """Try the remaining mutants of one module."""
        score = Score()
        gone = set(explained)
        # What runs at import takes longest, and profits most from knowing which tests notice something.
        for mutant in sorted(mutants_of(path.read_text("utf-8")), key=lambda mutant: mutant.at_import):
            gone.discard(mutant.name)
            if mutant.name in explained:
                score.explained += 1
                continue
            outcome = self._outcome(path, mutant)
            if outcome is None:
                score.left += 1
            elif outcome == "survived":
                score.survived.append(mutant)
                print(f"survived: {_short(path)}:{mutant.line} {mutant.name}", flush=True)
            else:
                score.killed += 1
        for name in sorted(gone):
            print(f"explained and no longer there: {_short(path)} {name}", flush=True)
        return score

    def _outcome(self, path: Path, mutant: Mutant) -> Outcome | None:
        key = mutant.digest
        outcome, tests = self._results.get(key, (None, ""))
        if outcome is not None and (outcome != "survived" or tests == self._tests):
            return outcome
        if time.monotonic() > self._ends:
            return None
        tried = self._try(path, mutant)
        outcome, by = tried.outcome, tried.noticed_by
        if by is not None:
            self._noticing[_short(path)][by] += 1
        if outcome == "survived" and self._folders != TESTS and not _is_primitive(path):
            # The tests that were left out may yet notice.
            return outcome
        name = f"{_short(path)} {mutant.name}"
        line = {"key": key, "outcome": outcome, "tests": self._tests, "name": name, "by": by}
        with self._kept.open("a", encoding="utf-8") as kept:
            kept.write(json.dumps(line, ensure_ascii=False) + "\n")
        return outcome

    def _try(self, path: Path, mutant: Mutant) -> Trial:
        module = f"czo_auth.{_short(path)}".replace("/", ".").removesuffix(".__init__")
        # The primitives are left to the tests near by: what these do not notice is a test that is missing there.
        folders = TESTS[:1] if _is_primitive(path) else self._folders
        # Quicker; what survives it is imported only where that may make a difference.
        if folders not in self._collected:
            self._collected[folders] = Collected(folders)
        for tests in self._rounds(path, mutant, folders):
            swapped = self._collected[folders].run(
                module, path, mutant.source, tests, at_import=mutant.at_import
            )
            if swapped is None:
                break
            if swapped.outcome != "survived":
                return swapped
        else:
            if not (mutant.at_import or self._runs_outside(path, mutant, folders)):
                return Trial("survived")
        # Starting takes longer than most tests: one round.
        tests = {name: each for tests in self._rounds(path, mutant, folders) for name, each in tests.items()}
        if tests:
            return trial.run(module, mutant.source, list(tests), seconds=sum(tests.values()))
        return Trial("survived")

    def _rounds(self, path: Path, mutant: Mutant, folders: tuple[str, ...]) -> Iterator[dict[str, float]]:
        """Give the tests to run: first the few that noticed most mutants of the module, then those of each folder."""
        near = {
            name: test
            for folder in folders
            for name, test in self._near(path, mutant, _reach(folder).tests).items()
        }
        best = [name for name, _ in self._noticing[_short(path)].most_common() if name in near][:BEST]
        yield {name: near[name] for name in best}
        for folder in folders:
            yield self._chosen(path, mutant, _reach(folder).tests)

    @staticmethod
    def _runs_outside(path: Path, mutant: Mutant, folders: tuple[str, ...]) -> bool:
        """Tell whether the line runs before the first test, where a fork for tests does not see its change."""
        return any(
            file == str(path) and mutant.line <= line <= mutant.last_line
            for folder in folders
            for file, line in _reach(folder).outside
        )

    def _chosen(self, path: Path, mutant: Mutant, reach: dict[str, Any]) -> dict[str, float]:
        """Choose from the tests that are near those of the module, then the quick ones, with their seconds."""
        near = self._near(path, mutant, reach)
        own = _own_tests(path)
        chosen: dict[str, float] = {}
        for name in sorted(near, key=lambda name: (not name.startswith(own), near[name])):
            if chosen and sum(chosen.values()) + near[name] > ROUND_SECONDS:
                break
            chosen[name] = near[name]
        return chosen

    @staticmethod
    def _near(path: Path, mutant: Mutant, reach: dict[str, Any]) -> dict[str, float]:
        """
        Find the tests that reach the line, with their seconds.

        What runs at import belongs to no test: all count that reach the module at all, or look at classes. Those of the
        module's own test file count in any case, for they may lean on what ran while they were imported.
        """
        lines = set(range(mutant.line, mutant.last_line + 1))
        near = {}
        for name, test in reach.items():
            ran = test["lines"].get(str(path), ())
            looks = mutant.at_import and name.startswith(LOOK_AT_CLASSES)
            reaches = bool(ran) if mutant.at_import else not lines.isdisjoint(ran)
            if looks or reaches or name.startswith(_own_tests(path)):
                near[name] = float(test["seconds"])
        return near


def _is_primitive(path: Path) -> bool:
    return path.parent.name == "crypto"


def _own_tests(path: Path) -> str:
    return f"tests/{path.parent.relative_to(ROOT / 'src/czo_auth')}/test_{path.stem}.py"


def _table(scores: dict[str, Score]) -> str:
    lines = [
        "| module | mutants | killed | explained | survived | not tried |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, score in [*scores.items(), ("all", _sum(scores))]:
        figures = (score.total, score.killed, score.explained, len(score.survived), score.left)
        lines.append(f"| `{name}` | " + " | ".join(map(str, figures)) + " |")
    return "\n".join(lines)


def _sum(scores: dict[str, Score]) -> Score:
    whole = Score()
    for score in scores.values():
        whole.killed += score.killed
        whole.explained += score.explained
        whole.survived += score.survived
        whole.left += score.left
    return whole


def _write(table: str) -> None:
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition("<!-- table -->\n")
    _, _, after = rest.partition("<!-- end of table -->")
    PAGE.write_text(f"{before}<!-- table -->\n\n{table}\n\n<!-- end of table -->{after}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
