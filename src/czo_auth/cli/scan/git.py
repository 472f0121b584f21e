"""Git repositories: every object of a history once, and what is staged for the next commit."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

_OBEYED_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")
MESSAGE = "(message)"


class GitFailed(Exception):
    """Git is not installed, or a command failed; the message is git's."""


@dataclass(frozen=True, slots=True)
class GitObject:
    """
    One object of a repository.

    Attributes:
        read_into: Reads its contents, see `stream.Searcher.search`; to be read to the end before the next object.
    """

    id: str
    kind: str
    read_into: Callable[[memoryview], int]


class Repository:
    """
    The repository that *folder* belongs to, read through the ``git`` command.

    Args:
        obeys_environment: Whether to obey ``GIT_DIR`` and similar variables, with which git tells a hook its index.
    """

    def __init__(self, folder: str, *, obeys_environment: bool = False) -> None:
        self._folder = folder
        self._env = {
            name: value
            for name, value in os.environ.items()
            if obeys_environment or name not in _OBEYED_VARIABLES
        }
        # Nothing is fetched, prompted for or locked, regardless of the repository's configuration: it may be a
        # stranger's, and fetching runs programs that it names. Git before 2.45 only knows the second line.
        quiet = {
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "LC_ALL": "C",
        }
        self._env |= quiet

    def folder_of_git(self) -> str:
        """
        Return the folder that holds the repository: the same for every place in it.

        Raises:
            GitFailed: *folder* belongs to none.
        """
        return os.fsdecode(self._output("rev-parse", "--absolute-git-dir").rstrip(b"\n"))

    def is_shallow(self) -> bool:
        """Return whether the history was cut off when it was cloned."""
        return self._output("rev-parse", "--is-shallow-repository").strip() == b"true"

    def history(self) -> list[str]:
        """
        Return all blobs, commits and annotated tags that any reference reaches, each once.

        Raises:
            GitFailed: The repository cannot be read.
        """
        blobs = self._output(
            *("rev-list", "--objects", "--all", "--no-object-names"),
            *("--filter=object:type=blob", "--filter-provided-objects"),
        )
        commits = self._output("rev-list", "--all")
        tags = self._output("for-each-ref", "--format=%(objecttype) %(objectname)")
        annotated = [line[4:] for line in tags.decode().splitlines() if line.startswith("tag ")]
        return list(dict.fromkeys([*blobs.decode().split(), *commits.decode().split(), *annotated]))

    def staged(self) -> dict[str, list[str]]:
        """
        Return the blobs that the next commit adds or changes, and the paths of each.

        Raises:
            GitFailed: The repository cannot be read.
        """
        try:
            against = self._output("rev-parse", "--verify", "--quiet", "HEAD^{tree}").decode().strip()
        except GitFailed:
            against = self._output("hash-object", "-t", "tree", os.devnull).decode().strip()
        changed = self._output(
            *("diff-index", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames", "--diff-filter=AMT"),
            against,
        )
        found: dict[str, list[str]] = {}
        parts = iter(changed.split(b"\0"))
        for described in parts:
            if not described.startswith(b":"):
                continue
            _, mode, _, new, _ = described.decode().split()
            path = os.fsdecode(next(parts))
            if mode != "160000":
                found.setdefault(new, []).append(path)
        return found

    def find_first_commits(self, blobs: set[str]) -> dict[str, tuple[str, str]]:
        """
        Find the oldest commit that contains each of *blobs*, and its path there.

        Raises:
            GitFailed: The repository cannot be read.
        """
        command = ["diff-tree", "--stdin", "-r", "-m", "--root", "--raw", "-z", "--no-abbrev", "--no-renames"]
        found: dict[str, tuple[str, str]] = {}
        commit = ""
        with self._started(command, self._output("rev-list", "--all")) as out:
            parts = _split(out)
            for part in parts:
                if not part.startswith(b":"):
                    # From the newest commit to the oldest, so the last one seen is the oldest.
                    commit = part.decode("ascii", "replace").split()[0]
                    continue
                path, new = next(parts), part.split()[3].decode()
                if new in blobs:
                    found[new] = commit, os.fsdecode(path)
        return found

    def objects(self, ids: Sequence[str], missing: Callable[[str], None]) -> Iterator[GitObject]:
        """
        Read the contents of *ids*, one after the other, from one process.

        Args:
            missing: Called with the id of an object that the repository does not have.

        Raises:
            GitFailed: The repository cannot be read.
        """
        with self._started(["cat-file", "--batch", "--buffer"], "\n".join([*ids, ""]).encode()) as out:
            while header := out.readline():
                words = header.decode().split()
                if len(words) != 3:
                    missing(words[0])
                    continue
                contents = _Contents(out, int(words[2]))
                yield GitObject(words[0], words[1], contents.read_into)
                contents.skip()

    def _output(self, *command: str) -> bytes:
        try:
            done = subprocess.run(  # noqa: S603 - a list, no shell
                self._command(command), env=self._env, capture_output=True, check=False
            )
        except OSError as error:
            raise GitFailed(f"git cannot be run: {error.strerror}") from None
        if done.returncode:
            raise GitFailed(_error_text(done.stderr))
        return done.stdout

    @contextmanager
    def _started(self, command: Sequence[str], given: bytes) -> Iterator[IO[bytes]]:
        """Run a command with its input in a file, so that neither side waits for the other."""
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
            stdin.write(given)
            stdin.seek(0)
            with subprocess.Popen(  # noqa: S603 - a list, no shell
                self._command(command),
                env=self._env,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=1 << 20,
            ) as running:
                assert running.stdout is not None  # noqa: S101 - it is a pipe
                try:
                    yield running.stdout
                except BaseException:
                    running.kill()
                    raise
            if running.returncode:
                stderr.seek(0)
                raise GitFailed(_error_text(stderr.read()))

    def _command(self, command: Sequence[str]) -> list[str]:
        return ["git", "-c", "core.fsmonitor=false", "-C", self._folder, *command]


class _Contents:
    """A fixed number of bytes of a stream, and the line end after them."""

    def __init__(self, out: IO[bytes], size: int) -> None:
        self._out = out
        self._left = size

    def read_into(self, view: memoryview) -> int:
        if not self._left:
            return 0
        count: int = self._out.readinto(view[: self._left])  # type: ignore[attr-defined]
        if not count:
            raise GitFailed("git ended in the middle of an object")
        self._left -= count
        return count

    def skip(self) -> None:
        waste = memoryview(bytearray(1 << 16))
        while self.read_into(waste):
            pass
        self._out.read(1)


def _split(out: IO[bytes]) -> Iterator[bytes]:
    """Split a stream at its zero bytes."""
    rest = b""
    while chunk := out.read(1 << 16):
        *parts, rest = (rest + chunk).split(b"\0")
        yield from (part for part in parts if part)
    if rest:
        yield rest


def _error_text(stderr: bytes) -> str:
    lines: list[str] = stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[0].removeprefix("fatal: ") if lines else "git failed without a message"
