"""All places to scan: files, standard input, a history, what is staged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from czo_auth.cli.scan.files import File, Problem, open_to_read, walk
from czo_auth.cli.scan.findings import Finding
from czo_auth.cli.scan.git import MESSAGE, GitFailed, GitObject, Repository
from czo_auth.cli.scan.stream import Searcher
from czo_auth.cli.scan.token_finder import TokenFinder

Progress = Callable[[int, int], None]
_MIB = 1 << 20


@dataclass
class Scan:
    """
    Scans places; what cannot be read is reported and stops nothing.

    Attributes:
        problem: Called with each place that cannot be read.
    """

    token_finder: TokenFinder
    problem: Problem
    _searcher: Searcher = field(init=False)

    def __post_init__(self) -> None:
        self._searcher = Searcher(self.token_finder)

    def standard_input(self) -> Iterator[Finding]:
        """Look through standard input, as it comes."""
        with open(0, "rb", buffering=0, closefd=False) as stream:
            for hit in self._searcher.search(stream.readinto):
                yield Finding.of(hit, self.token_finder.kind(hit.token), "-")

    def files(self, paths: list[str], progress: Progress, *, measured: bool) -> Iterator[Finding]:
        """
        Look through files, and through all files below folders.

        Args:
            measured: Whether all are listed first, so that *progress* knows how much there is; unit: MiB.
        """
        found: Iterable[File] = walk(paths, self.problem)
        total = 0
        if measured:
            found = list(found)
            total = sum(file.size for file in found)
        done = 0
        for file in found:
            yield from self._file(file)
            if measured:
                done += file.size
                progress(done // _MIB, total // _MIB)

    def _file(self, file: File) -> Iterator[Finding]:
        try:
            descriptor = open_to_read(file)
            with open(descriptor, "rb", buffering=0) as opened:
                for hit in self._searcher.search(opened.readinto):
                    yield Finding.of(hit, self.token_finder.kind(hit.token), file.path)
        except OSError as error:
            self.problem(file.path, error.strerror or "cannot be read")

    def histories(self, folders: list[str], progress: Progress) -> Iterator[Finding]:
        """
        Look through every object that a reference of the folders' repositories reaches.

        Args:
            progress: Called with the number of objects read, and of all objects.
        """
        seen = set()
        for folder in folders:
            place = folder if os.path.isdir(folder) else os.path.dirname(folder) or "."
            try:
                repository = Repository(place)
                name = repository.folder_of_git()
                if name not in seen:
                    seen.add(name)
                    yield from self._history(repository, folder, progress)
            except GitFailed as error:
                self.problem(folder, str(error))

    def _history(self, repository: Repository, folder: str, progress: Progress) -> Iterator[Finding]:
        if repository.is_shallow():
            self.problem(folder, "the clone is shallow: its older history is not here")
        ids = repository.history()
        found = list(self._stored(repository, ids, folder, progress))
        blobs = {stored.id for stored, _ in found if stored.kind == "blob"}
        places = repository.find_first_commits(blobs) if blobs else {}
        for stored, finding in found:
            # A blob that is in no commit belongs to a tag: only its id is known.
            commit, path = places.get(stored.id, (stored.id, MESSAGE))
            yield Finding(
                token=finding.token,
                kind=finding.kind,
                path=path,
                line=finding.line,
                column=finding.column,
                commit=commit,
            )

    def staged(self, folder: str) -> Iterator[Finding]:
        """Look through what the next commit adds or changes."""
        try:
            repository = Repository(folder, obeys_environment=True)
            paths = repository.staged()
            for stored, finding in self._stored(repository, list(paths), folder, lambda done, total: None):
                for path in paths[stored.id]:
                    yield Finding(
                        token=finding.token,
                        kind=finding.kind,
                        path=path,
                        line=finding.line,
                        column=finding.column,
                    )
        except GitFailed as error:
            self.problem(folder, str(error))

    def _stored(
        self, repository: Repository, ids: list[str], folder: str, progress: Progress
    ) -> Iterator[tuple[GitObject, Finding]]:
        def missing(object_id: str) -> None:
            self.problem(folder, f"the object {object_id} is missing")

        for done, stored in enumerate(repository.objects(ids, missing), start=1):
            for hit in self._searcher.search(stored.read_into):
                yield stored, Finding.of(hit, self.token_finder.kind(hit.token), stored.id)
            if done % 1000 == 0:
                progress(done, len(ids))
