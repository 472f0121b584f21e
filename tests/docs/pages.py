"""
The documentation as its reader types it: the code blocks of a page, run in order in a folder of the page's own.

What a block is, is seen by the reader too:

- ``sh``: typed into the terminal. Titled *in a terminal of its own*: it stays running, and is waited for.
- any block with a file's name as its title: a file of that name in the folder.
- ``python`` without a title: run with Python.
- ``json`` and ``text``: what the block before answered. ``…`` stands for anything; the rest is exact.
- titled *once*: typed by who begins with nothing; the deep test does.
- a title with *not run*: it says why.

Port 8000 (8001, …) becomes a free port, the same throughout the page; nothing else is changed.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

from tests.support.ports import free_port
from tests.support.tethered import tethered

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OWN_TERMINAL = "in a terminal of its own"
ONCE = "once"
FENCE = re.compile(
    r'^(?P<indent> *)```(?P<kind>[a-z]+)(?: title="(?P<title>[^"]*)")?\n(?P<text>.*?)^(?P=indent)```$',
    re.MULTILINE | re.DOTALL,
)
FILE_NAME = re.compile(r"[\w./-]+\.\w+|\.env")
PORT = re.compile(r"\b80\d\d\b")
BLOCK_SECONDS = 60
ONCE_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block of a page."""

    page: str
    line: int
    kind: str
    title: str
    text: str

    @property
    def is_run(self) -> bool:
        return "not run" not in self.title

    @property
    def is_file(self) -> bool:
        return FILE_NAME.fullmatch(self.title) is not None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """Find the blocks of a page, in order."""
    text = page.read_text("utf-8")
    found = []
    for match in FENCE.finditer(text):
        indent = match["indent"]
        lines = [line.removeprefix(indent) for line in match["text"].splitlines(keepends=True)]
        found.append(
            Block(
                page=page.relative_to(ROOT).as_posix(),
                line=text.count("\n", 0, match.start()) + 1,
                kind=match["kind"],
                title=match["title"] or "",
                text="".join(lines),
            )
        )
    return found


class Reader:
    """
    Someone who follows one page: one shell, and a terminal more for each thing that stays running.

    Args:
        folder: Empty; where it all happens.
        ports: What the page's ports become; other ones are picked when they are met.
        env: More environment, by name.
        skipped_titles: Blocks with these titles are passed over.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ports: dict[str, int] | None = None,
        env: dict[str, str] | None = None,
        skipped_titles: frozenset[str] = frozenset(),
    ) -> None:
        self.here = folder
        self.answer = ""
        self._skipped = skipped_titles
        self._ports: defaultdict[str, int] = defaultdict(free_port, ports or {})
        self._env = {
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
            "CZO_AUTH_PORT": str(self._ports["8000"]),
            **(env or {}),
        }
        self._outputs = folder / ".outputs"
        self._outputs.mkdir()
        self._number = 0
        self._running: list[subprocess.Popen[bytes]] = []
        self._shell = subprocess.Popen(
            tethered(["/bin/bash", "-eu", "-o", "pipefail"], signal=signal.SIGKILL),
            cwd=folder,
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def follow(self, block: Block) -> None:
        """Do what the block says, and fail unless it comes out as the page says."""
        if not block.is_run or block.title in self._skipped:
            return
        text = PORT.sub(lambda match: str(self._ports[match[0]]), block.text)
        if block.is_file:
            path = self.here / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            if path.suffix == ".py":
                compile(text, block.title, "exec")
        elif block.kind == "sh" and block.title == OWN_TERMINAL:
            self._leave_running(block, text)
        elif block.kind == "sh":
            self._type(block, text)
        elif block.kind == "python":
            (self.here / ".block.py").write_text(text, "utf-8")
            self._type(block, "python .block.py\n")
        elif block.kind == "json":
            self._compare_json(block, json.loads(text))
        elif block.kind == "text":
            self._compare_text(block, text)
        else:
            raise AssertionError(f"{block}: nobody knows what to do with {block.kind!r} {block.title!r}")

    def close(self) -> None:
        """End everything that still runs."""
        for process in (*self._running, self._shell):
            _end(process)
        for stream in (self._shell.stdin, self._shell.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

    def _type(self, block: Block, text: str) -> None:
        self._number += 1
        script = self._outputs / f"{self._number}.sh"
        output = self._outputs / f"{self._number}.out"
        script.write_text(text, "utf-8")
        stdin, stdout = self._shell.stdin, self._shell.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"source '{script}' > '{output}' 2>&1 < /dev/null; pwd\n".encode())
        stdin.flush()
        done = _line_within(stdout, ONCE_SECONDS if block.title == ONCE else BLOCK_SECONDS)
        self.answer = output.read_text("utf-8", errors="replace") if output.exists() else ""
        assert done, f"{block} failed\n{text}\n{self.answer}\n{self._told_by_others()}"
        self.here = Path(done.decode().strip())

    def _leave_running(self, block: Block, text: str) -> None:
        self._number += 1
        output = self._outputs / f"{self._number}.running"
        with output.open("wb") as file:
            process = subprocess.Popen(
                tethered(["/bin/bash", "-eu", "-o", "pipefail", "-c", text], signal=signal.SIGTERM),
                cwd=self.here,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self._running.append(process)
        named = [port for port in self._ports.values() if str(port) in text] or [self._ports["8000"]]
        deadline = time.monotonic() + BLOCK_SECONDS
        while time.monotonic() < deadline:
            assert process.poll() is None, f"{block} ended\n{text}\n{output.read_text()}"
            if all(_listens(port) for port in named):
                self.answer = output.read_text()
                return
            time.sleep(0.05)
        raise AssertionError(f"{block}: nobody listens on {named}\n{text}\n{output.read_text()}")

    def _compare_json(self, block: Block, expected: Any) -> None:
        lines = [line for line in self.answer.splitlines() if line.startswith(("{", "["))]
        assert lines, f"{block}: no JSON came\n{self.answer}"
        actual = json.loads(lines[-1])
        problems = list(differences(expected, actual))
        assert not problems, f"{block}: {problems}\n{json.dumps(actual, indent=1)}"

    def _compare_text(self, block: Block, text: str) -> None:
        # What is not read at once, a server that continues, may still be on its way.
        deadline = time.monotonic() + 5
        running = sorted(self._outputs.glob("*.running"))
        while True:
            reported = [line.strip() for line in self.answer.splitlines()]
            missing = [
                line
                for line in text.splitlines()
                if line.strip() not in ("", "…") and not any(_alike(line.strip(), each) for each in reported)
            ]
            if not missing:
                return
            assert time.monotonic() < deadline, f"{block}: not told: {missing}\n{self.answer}"
            time.sleep(0.1)
            if running:
                self.answer += "\n" + running[-1].read_text(errors="replace")

    def _told_by_others(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in self._outputs.glob("*.running"))


def differences(expected: Any, actual: Any, where: str = "answer") -> Iterator[str]:
    """Tell where an answer is not as the page shows it. A member named ``…`` allows further members."""
    match expected, actual:
        case "…", _:
            return
        case str(), str():
            if not _alike(expected, actual):
                yield f"{where} is {actual!r}, not {expected!r}"
        case dict(), dict():
            missing = expected.keys() - actual.keys() - {"…"}
            extra = set() if "…" in expected else actual.keys() - expected.keys()
            if missing or extra:
                yield f"{where} lacks {sorted(missing)} and has {sorted(extra)} more"
            for name in expected.keys() & actual.keys():
                yield from differences(expected[name], actual[name], f"{where}.{name}")
        case list(), list():
            if bool(expected) != bool(actual) or ("…" not in expected and len(expected) != len(actual)):
                yield f"{where} has {len(actual)} members, not {len(expected)}"
            for number, (one, other) in enumerate(zip(expected, actual, strict=False)):
                yield from differences(one, other, f"{where}[{number}]")
        case _ if type(expected) is not type(actual) or expected != actual:
            yield f"{where} is {actual!r}, not {expected!r}"


def _alike(pattern: str, text: str) -> bool:
    return fnmatchcase(text, re.sub(r"([*?\[])", r"[\1]", pattern).replace("…", "*"))


def _line_within(stream: IO[bytes], seconds: float) -> bytes:
    ready, _, _ = select.select([stream], [], [], seconds)
    return stream.readline() if ready else b""


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(5)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(5)
