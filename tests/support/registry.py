"""Packages of other projects: fetched from a registry at first use and kept outside the tree; without one, a skip."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pytest

UNREACHABLE: Final = re.compile(
    r"""
    # uv: no connection, no name, no TLS, a proxy that fails, an answer cut off, a status, settings without a network.
    error\ sending\ request\ for\ url
    | error\ decoding\ response\ body
    | HTTP\ status\ (?:server\ error\ \(5\d\d|client\ error\ \((?:407|408|429))
    | could\ not\ be\ queried\ due\ to\ a\ lack\ of\ valid\ authentication
    | returned\ a\ 403\ Forbidden\ error
    | the\ network\ was\ disabled
    | index\ lookups\ were\ disabled
    # npm: the same, by its codes.
    | ^npm\ (?:error|ERR!)\ code\ (?:
        ECONNREFUSED | ECONNRESET | ECONNABORTED | EHOSTUNREACH | ENETUNREACH | ENOTFOUND | EAI_AGAIN
        | ETIMEDOUT | E[A-Z]+TIMEOUT | ERR_SOCKET_TIMEOUT | FETCH_ERROR | ENOTCACHED
        | E401 | E403 | E407 | E408 | E429 | E5\d\d
        | EPROTO | ERR_(?:SSL|TLS)_\w+ | \w*_CERT\w* | CERT_\w+ | UNABLE_TO_VERIFY_LEAF_SIGNATURE
      )$
    # node-gyp, which npm runs: the headers of node cannot be fetched.
    | is\ related\ to\ network\ connectivity
    """,
    re.VERBOSE | re.MULTILINE,
)
"""What installers say when the registry cannot be reached, refuses everybody, or is switched off."""
NO_COMPILER: Final = re.compile(
    r"gyp ERR! stack Error: (?:Could not find any Python|not found: make)"
    r"|^npm (?:error|ERR!) make: .+: No such file or directory$",
    re.MULTILINE,
)
"""What node-gyp says where a package must be compiled and the machine has no tools for it."""
ABSENT: Final = re.compile(
    r"was not found in the (?:package registry|provided package locations)"
    r"|there (?:is no version|are no versions) of "
    r"|[Bb]ecause only .+ (?:is|are) available"
    r"|^npm (?:error|ERR!) code (?:E404|ETARGET|ENOVERSIONS)$",
    re.MULTILINE,
)
"""What they say when the registry answers, and does not have a package or a version."""
WITNESSES: Final = {"uv": "sampleproject", "npm": "npm-expansions"}
"""A package of each public registry that its owner published as a sample, so no selection of packages has it."""
DRY_RUN: Final = {"uv": ("--dry-run", "--no-deps"), "npm": ("--dry-run",)}
WITNESS_SECONDS: Final = 60


def kept_packages(name: str, packages: Sequence[str], make: Callable[[Path], None]) -> Path:
    """
    Return a folder with *packages* that is kept outside the tree for the next run.

    Args:
        name: What the folder's name begins with.
        packages: What is in it; others get another folder.
        make: Puts them into an empty folder, at first use.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "czo-auth-tests"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{name}-{hashlib.sha256(repr(sorted(packages)).encode()).hexdigest()[:12]}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=cache) as fresh:
            made = Path(fresh) / "packages"
            made.mkdir()
            make(made)
            # Renamed when complete: another test process may be doing the same.
            if not folder.exists():
                made.rename(folder)
    return folder


def fetch(
    command: Sequence[str], *, packages: Sequence[str], seconds: float, cwd: Path | None = None
) -> None:
    """
    Install *packages* by *command*; skips the test where the machine or its registry cannot give them.

    It skips for these causes alone, and fails the test for any other, such as versions that exclude each other:

    - the registry cannot be reached, refuses everybody, is too slow, or is switched off;
    - a package must be compiled, and the machine has no tools for it;
    - the registry does not have a package or a version, and is incomplete: it does not have the installer's witness
      either, a sample that the public registry has. A registry with the witness counts as complete, so what it does
      not have is a wrong name or version of ours.

    The only place that skips for these reasons.

    Args:
        command: The installer's, ``uv`` or ``npm``, with its arguments.
        packages: What the reason names.
        seconds: How long the installer may take.
        cwd: Where to run it.
    """
    named = ", ".join(packages)
    errors = _errors(command, packages, seconds=seconds, cwd=cwd)
    if errors is None:
        return
    cause = _cause_outside(errors) or (_incompleteness(command, cwd=cwd) if ABSENT.search(errors) else None)
    if cause is None:
        pytest.fail(f"{named} cannot be installed, and neither the network nor the registry is why: {errors}")
    pytest.skip(f"no registry gave {named}: {cause}")


def _errors(
    command: Sequence[str], packages: Sequence[str], *, seconds: float, cwd: Path | None
) -> str | None:
    """Run an installer; return what it said when it failed."""
    try:
        ran = subprocess.run(
            [*command, *packages], cwd=cwd, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"no registry gave {', '.join(packages)}: it took longer than {seconds:g} s")
    return None if ran.returncode == 0 else ran.stdout + ran.stderr


def _cause_outside(errors: str) -> str | None:
    """Return the errors in one line, from the one that says it, if neither packages nor command are their cause."""
    said = UNREACHABLE.search(errors) or NO_COMPILER.search(errors)
    if said is None:
        return None
    line = errors.rfind("\n", 0, said.start()) + 1
    return textwrap.shorten(errors[line:], 300, placeholder=" …")


def _incompleteness(command: Sequence[str], *, cwd: Path | None) -> str | None:
    """Return why the registry cannot be expected to have a package, unless it has the witness."""
    installer = Path(command[0]).name
    witness = WITNESSES[installer]
    errors = _errors([*command, *DRY_RUN[installer]], [witness], seconds=WITNESS_SECONDS, cwd=cwd)
    if errors is None:
        return None
    if ABSENT.search(errors) is not None:
        return f"the registry is incomplete, it does not have {witness} either"
    return _cause_outside(errors)
