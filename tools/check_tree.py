"""
Refuse a tree that names the machine it was written on, or the place its packages came from.

Pins are exact and hashed, so an address adds nothing but a dependence on one mirror; and a path that
exists on one machine only is a bug on every other. Looks at every tracked file, and at untracked ones that
are not ignored.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

# Needles are assembled from parts, so that this file does not contain what it looks for.
LOCK_FILES = frozenset(
    name + ending
    for name, ending in (
        ("uv", ".lock"),
        ("poetry", ".lock"),
        ("pdm", ".lock"),
        ("Pipfile", ".lock"),
        ("yarn", ".lock"),
        ("package-lock", ".json"),
        ("npm-shrinkwrap", ".json"),
        ("pnpm-lock", ".yaml"),
    )
)
INDEX_ADDRESSES = (
    "pypi" + ".org",
    "pypi.python" + ".org",
    "pythonhosted" + ".org",
    "registry.npmjs" + ".org",
    "registry.yarnpkg" + ".com",
    "--index" + "-url",
    "--extra-index" + "-url",
    "--find" + "-links",
)
# Not inside a web address or a longer path: the character before must not be part of one.
NOT_IN_A_PATH = r"(?<![\w.~/}\-])"
MACHINE_PATH = re.compile(NOT_IN_A_PATH + r"/(?:home|root|work|Users)/[\w.\-]+")
ADDRESS = re.compile(r"\b[a-z][a-z0-9+.\-]*:" + r"//", re.IGNORECASE)
REQUIREMENTS_FILE = re.compile(r"(?:^|/)(?:requirements|constraints)[^/]*(?:/.*)?\.(?:txt|in)$")


def tree_files(root: Path) -> list[str]:
    """List the paths, relative to *root*, of all files that git tracks or would add."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
    ).stdout
    return sorted({name for name in listing.decode().split("\0") if name})


def complaints(root: Path, name: str) -> Iterator[str]:
    """Return the faults of the file *name*, one per line; none for a binary or deleted file."""
    if PurePosixPath(name).name in LOCK_FILES:
        yield f"{name}: a lock file that holds package addresses; pins belong in requirements/ (make lock)"
        return
    path = root / name
    if not path.is_file() or path.is_symlink():
        return
    content = path.read_bytes()
    if b"\0" in content:
        return
    own_folder = own_folder_pattern(root)
    for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
        for fault in line_faults(name, line, own_folder):
            yield f"{name}:{number}: {fault}"


def line_faults(name: str, line: str, own_folder: re.Pattern[str] | None) -> Iterator[str]:
    """Return the faults of one *line* of the file *name*."""
    for needle in INDEX_ADDRESSES:
        if needle in line:
            yield f"package index address {needle!r}"
            break
    if REQUIREMENTS_FILE.search(name) and ADDRESS.search(line):
        yield "a requirements file names an address; a pin and its hashes are enough"
    if found := MACHINE_PATH.search(line) or (own_folder and own_folder.search(line)):
        yield f"path of one machine {found.group()!r}"


def own_folder_pattern(root: Path) -> re.Pattern[str] | None:
    """Match the checkout's own folder, unless it is so short (`/src`) that it could be any machine's."""
    folder = root.resolve().as_posix()
    if folder.count("/") < 2:
        return None
    return re.compile(NOT_IN_A_PATH + re.escape(folder) + r"(?![\w\-])")


def main(root: Path) -> int:
    """Print every complaint about the tree at *root*; the result is the exit status."""
    try:
        names = tree_files(root)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"check_tree: git cannot list the files of the tree: {error}", file=sys.stderr)
        return 2
    found = [line for name in names for line in complaints(root, name)]
    for line in found:
        print(line)
    print(f"check_tree: {len(found)} complaints" if found else f"check_tree: {len(names)} files are clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent))
