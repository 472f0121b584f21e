"""
Install the wheel with no extra, with each and with all, each time in an empty environment, use it, and measure.

``make extras`` prints the table; ``--write`` puts it into docs/how-to/install.md. Packages come from uv's cache where
they were fetched before, so the seconds are those of an installation, not of a download.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "how-to" / "install.md"
MARKS = ("<!-- measured: begin -->", "<!-- measured: end -->")
# Modules that need the named packages; all others must import everywhere.
NEEDS = {
    "czo_auth.cli": "cli",
    "czo_auth.cli.processes": "server",
    "czo_auth.delivery.nats": "nats",
    "czo_auth.delivery.rabbitmq": "rabbitmq",
    "czo_auth.delivery.smtp": "smtp",
    "czo_auth.delivery.webhooks": "webhooks",
    "czo_auth.graphql": "graphql",
    "czo_auth.integrations.django": "a host's framework",
    "czo_auth.integrations.flask": "a host's framework",
    "czo_auth.integrations.litestar": "a host's framework",
    "czo_auth.integrations.mcp": "mcp",
    "czo_auth.integrations.mcp.fastmcp": "a host's framework",
    "czo_auth.storage.migrations.env": "a migration that runs",
    "czo_auth.storage.postgresql": "postgres",
    "czo_auth.storage.postgresql_server": "postgres",
    "czo_auth.templating": "pages",
    "czo_auth.testing": "testing",
    "czo_auth.web": "pages",
}
USE = """
import asyncio, importlib, json, pkgutil, sys, time
needs, extras = json.loads(sys.argv[1]), set(json.loads(sys.argv[2]))
begun = time.perf_counter()
from czo_auth import Auth, Settings
auth = Auth(Settings(data_dir=sys.argv[3], encryption_key="A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1w="))

async def get(app, path):
    sent = []
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
             "headers": [(b"host", b"localhost")], "scheme": "http", "server": ("localhost", 80),
             "client": ("127.0.0.1", 1), "root_path": "", "http_version": "1.1", "asgi": {"version": "3.0"}}
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        sent.append(message)
    await app(scope, receive, send)
    return sent[0]["status"]

async def main():
    await auth.start()
    assert await get(auth.app, "/api/auth/jwks") == 200
    assert await get(auth.app, "/api/auth/session") == 401
    if "pages" in extras:
        assert await get(auth.pages, auth.settings.pages_path + "/sign-in") == 200
    if "graphql" in extras:
        assert auth.graphql is not None
    await auth.stop()

asyncio.run(main())
seconds = time.perf_counter() - begun
count, import_errors = 0, []
import czo_auth
for found in pkgutil.walk_packages(czo_auth.__path__, "czo_auth.", onerror=lambda name: None):
    name = found.name
    asked = [extra for prefix, extra in needs.items() if name == prefix or name.startswith(prefix + ".")]
    if name.endswith("__main__") or not set(asked) <= extras:
        continue
    importlib.import_module(name)
    count += 1
print(json.dumps({"seconds": seconds, "modules": count}))
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """
    One installation.

    Attributes:
        extra: ``""`` for none.
        packages: Distributions that were installed, czo-auth among them.
        bytes: Of all files in the environment that the installation brought, compiled modules left out.
        install_seconds: From an empty environment, with uv and a warm cache.
        start_seconds: From the first import to the first answers of a deployment on a new SQLite file.
        modules: Modules of czo-auth that were imported.
    """

    extra: str
    packages: int
    bytes: int
    install_seconds: float
    start_seconds: float
    modules: int


def project() -> dict[str, Any]:
    """Read the project's table in pyproject.toml."""
    read: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return read


def build_wheel(folder: Path) -> Path:
    """Build the wheel into *folder*, with the build backend of this environment."""
    _run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)])
    (wheel,) = folder.glob("*.whl")
    return wheel


def closure(extra: str) -> set[str]:
    """Return *extra* and the extras that it includes."""
    if not extra:
        return set()
    inner: set[str] = set()
    for need in project()["optional-dependencies"][extra]:
        if match := re.fullmatch(r"czo-auth\[(.+)\]", need):
            inner.update(match[1].split(","))
    return {extra}.union(*map(closure, inner))


def measure(wheel: Path, extra: str, folder: Path, *, python: str = sys.executable) -> Measured:
    """
    Install *wheel* with *extra* in a new environment in *folder*, import everything, and serve.

    Raises:
        RuntimeError: A command failed; the message has its output.
    """
    uv = Path(sys.executable).with_name("uv")
    environment = folder / (extra or "none")
    _run([str(uv), "venv", "--quiet", "--python", python, str(environment)])
    inside = str(environment / "bin" / "python")
    (packages,) = (environment / "lib").glob("python*/site-packages")
    before = _size(packages)
    begun = time.monotonic()
    wanted = f"czo-auth[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
    _run([str(uv), "pip", "install", "--quiet", "--compile-bytecode", "--python", inside, wanted])
    seconds = time.monotonic() - begun
    arguments = [json.dumps(NEEDS), json.dumps(sorted(closure(extra))), str(folder / f"data-{extra}")]
    used = json.loads(_run([inside, "-c", USE, *arguments]).splitlines()[-1])
    return Measured(
        extra=extra,
        packages=len(list(packages.glob("*.dist-info"))),
        bytes=_size(packages) - before,
        install_seconds=seconds,
        start_seconds=used["seconds"],
        modules=used["modules"],
    )


def every_choice() -> list[str]:
    """Return no extra, and each of pyproject.toml."""
    return ["", *project()["optional-dependencies"]]


def table(measured: Sequence[Measured]) -> str:
    """Write the figures as a Markdown table."""
    lines = [
        "| install | packages | size | installed in | first answer after |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| `czo-auth{f'[{each.extra}]' if each.extra else ''}` | {each.packages} | {each.bytes / 1e6:.0f} MB "
        f"| {each.install_seconds:.1f} s | {each.start_seconds:.1f} s |"
        for each in measured
    ]
    return "\n".join(lines)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in _files(folder))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")


def _run(command: Sequence[str]) -> str:
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command[:4])}: {ran.stdout}{ran.stderr}")
    return ran.stdout


def main() -> None:
    """Measure, print, and write the page when asked to."""
    with tempfile.TemporaryDirectory(prefix="czo-auth-extras-") as name:
        folder = Path(name)
        wheel = build_wheel(folder)
        measured = []
        for extra in every_choice():
            # The first installation downloads what is not in the cache; only the second one is measured.
            with tempfile.TemporaryDirectory(dir=folder) as warm:
                measure(wheel, extra, Path(warm))
            measured.append(measure(wheel, extra, folder))
            print(table(measured[-1:]).splitlines()[-1], file=sys.stderr)
    text = table(measured)
    print(text)
    if "--write" in sys.argv[1:]:
        page = PAGE.read_text("utf-8")
        begin, end = (page.index(mark) for mark in MARKS)
        PAGE.write_text(f"{page[:begin]}{MARKS[0]}\n\n{text}\n\n{page[end:]}", "utf-8")


if __name__ == "__main__":
    main()
