"""
Peer software, installed once by its registries' own clients into a folder that git ignores.

Versions are pinned, so that two runs compare the same. What cannot be installed is left out, with its reason.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.subjects import ROOT

CACHE = ROOT / ".bench-cache"
NODE_PACKAGES = ("better-auth@1.7.5", "@better-auth/api-key@1.7.5", "better-sqlite3@12.11.1", "pg@8.23.1")
PYTHON_PACKAGES = ("better-auth-server==1.1.0", "crudauth==0.8.2", "aiosqlite==0.22.1")
SHARED_PACKAGES = (
    "asyncpg",
    "bcrypt",
    "cryptography",
    "fastapi",
    "granian",
    "pydantic",
    "sqlalchemy",
    "starlette",
)
"""In the same versions as ours, so that only the approach differs."""
_MINUTES = 8


@functools.cache
def python() -> Path | None:
    """Return the interpreter that has the Python peers; None if they are not available."""
    wanted = [*PYTHON_PACKAGES, *(f"{name}=={importlib.metadata.version(name)}" for name in SHARED_PACKAGES)]
    folder = CACHE / "python"
    interpreter = folder / "bin/python"
    if _is_done(folder, wanted):
        return interpreter
    shutil.rmtree(folder, ignore_errors=True)
    print("installing the Python peers", flush=True)
    done = _run([sys.executable, "-m", "venv", str(folder)]) and _run(
        [
            str(interpreter),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--only-binary",
            ":all:",
            "sqlalchemy[asyncio]",
            *wanted,
        ]
    )
    return _note_done(folder, wanted, interpreter) if done else None


@functools.cache
def node() -> Path | None:
    """Return the folder with better-auth; None if there is no Node, or the packages are not available."""
    folder = CACHE / "node"
    if shutil.which("npm") is None:
        return None
    if not _is_done(folder, NODE_PACKAGES):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private": true, "type": "module"}\n')
        print("installing the Node peers; SQLite's driver may be compiled for some minutes", flush=True)
        # better-auth pins the packages that its plugin names as peers; npm alone would mix in newer ones.
        options = ["--no-audit", "--no-fund", "--legacy-peer-deps", "--loglevel", "error"]
        if not _run(["npm", "install", *options, *NODE_PACKAGES], folder=folder):
            return None
        _note_done(folder, NODE_PACKAGES, folder)
    for host in ("better_auth.mjs", "hello.mjs"):
        # Node looks for packages next to the file, not next to the caller.
        shutil.copy(ROOT / "benchmarks/hosts" / host, folder / host)
    return folder


def node_program() -> str:
    """Return the path of Node."""
    return shutil.which("node") or "node"


def versions() -> dict[str, str]:
    """Return the versions that are compared."""
    found = {
        name: importlib.metadata.version(name) for name in ("granian", "fastapi", "sqlalchemy", "asyncpg")
    }
    if shutil.which("node"):
        reported = subprocess.run(
            ["node", "--version"], capture_output=True, text=True, timeout=20, check=False
        )
        found["node"] = reported.stdout.strip().removeprefix("v")
    for packages, mark in ((NODE_PACKAGES, "@"), (PYTHON_PACKAGES, "==")):
        found |= dict(package.rsplit(mark, 1) for package in packages)
    return found


def _is_done(folder: Path, wanted: tuple[str, ...] | list[str]) -> bool:
    stamp = folder / "installed.txt"
    return stamp.exists() and stamp.read_text() == "\n".join(wanted)


def _note_done(folder: Path, wanted: tuple[str, ...] | list[str], result: Path) -> Path:
    (folder / "installed.txt").write_text("\n".join(wanted))
    return result


def _run(command: list[str], *, folder: Path | None = None) -> bool:
    # If Node is installed with its headers, compilation uses them instead of downloading some.
    prefix = Path(node_program()).parent.parent
    headers = {"npm_config_nodedir": str(prefix)} if (prefix / "include/node/node.h").exists() else {}
    try:
        ran = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **headers},
            timeout=_MINUTES * 60,
            capture_output=True,
            text=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"not available: {error}", file=sys.stderr)
        return False
    if ran.returncode:
        print(f"not available: {ran.stderr.strip()[-400:]}", file=sys.stderr)
    return ran.returncode == 0
