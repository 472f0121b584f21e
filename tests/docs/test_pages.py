"""Every code block of the documentation does what its page says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from czo_auth.crypto.sealing import new_key_text
from tests.docs.pages import DOCS, ONCE, OWN_TERMINAL, ROOT, Block, Reader, blocks_of
from tests.support.server import RunningServer

# Generated from the code, and compared with it by test_reference.py.
GENERATED = DOCS / "reference"
WRITTEN = [page for page in sorted(DOCS.rglob("*.md")) if GENERATED not in page.parents]
PAGES = [page for page in WRITTEN if blocks_of(page)]
README = ROOT / "README.md"
# What cannot be run here: the page, and the reason as it stands there.
NOT_RUN = {
    ("docs/how-to/deploy.md", "on the server, as root (not run by the tests: needs systemd)"),
    (
        "docs/how-to/better-auth.md",
        "auth-client.js (not run here: needs npm packages; tests/better_auth does)",
    ),
    ("docs/how-to/better-auth.md", "in your front end (not run here: tests/better_auth does)"),
    ("docs/how-to/passkeys.md", "settings of a real deployment, not run"),
    (
        "docs/how-to/browsers-and-apps.md",
        "nginx.conf (not run by the tests: needs nginx and a certificate)",
    ),
    ("docs/how-to/proxy.md", "nginx.conf (not run by the tests: needs nginx and a certificate)"),
}

missing = [name for name in ("bash", "curl", "jq", "git") if shutil.which(name) is None]
needs_tools = pytest.mark.skipif(bool(missing), reason=f"the pages' commands need {', '.join(missing)}")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The server that a page talks to when it starts none itself."""
    server = RunningServer(
        tmp_path_factory.mktemp("docs"), env={"CZO_AUTH_RATE_LIMIT_ENABLED": "false"}, weak_hashes=True
    )
    server.start()
    yield server
    server.stop()


# `make docs` follows them too; in `make test` the README's application stands for them.
@needs_tools
@pytest.mark.deep
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_page_does_what_it_says(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    blocks = blocks_of(page)
    # As after `git clone … czo-auth && make setup`, which the deep test below does for real.
    folder = tmp_path / "czo-auth"
    folder.mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    reader = _reader(blocks, folder, request)
    try:
        for block in blocks:
            reader.follow(block)
    finally:
        reader.close()


def _reader(blocks: list[Block], folder: Path, request: pytest.FixtureRequest) -> Reader:
    talks = any(":8000" in block.text or "czo-auth " in block.text for block in blocks)
    if not talks or any(block.title == OWN_TERMINAL for block in blocks):
        on_postgresql = blocks[0].page.endswith("/postgresql.md")
        env = {"CZO_AUTH_DATABASE_URL": request.getfixturevalue("postgres_url")} if on_postgresql else {}
        return Reader(folder, env=env, skipped_titles=frozenset({ONCE}))
    server: RunningServer = request.getfixturevalue("running")
    phone = next(block for block in blocks_of(DOCS / "tutorial.md") if block.title == "phone.py")
    (folder / "phone.py").write_text(phone.text, "utf-8")
    return Reader(folder, ports={"8000": server.port}, env={"CZO_AUTH_DATA_DIR": str(server.data_directory)})


@needs_tools
@pytest.mark.deep
def test_tutorial_begins_with_a_clone(tmp_path: Path) -> None:
    reader = Reader(tmp_path, env={"REPOSITORY": str(ROOT)})
    try:
        for block in blocks_of(DOCS / "tutorial.md"):
            reader.follow(block)
    finally:
        reader.close()


@needs_tools
def test_application_in_the_readme_runs(tmp_path: Path) -> None:
    (application,) = blocks_of(README)
    reader = Reader(tmp_path, env={"AUTH_ENCRYPTION_KEY": new_key_text()})
    try:
        reader.follow(application)
        for kind, title, text in (
            ("sh", OWN_TERMINAL, "granian --interface asgi --port 8000 shop:app"),
            ("sh", "", "curl -s http://127.0.0.1:8000/orders"),
            ("json", "", '{"code": "UNAUTHORIZED", "message": "…", "status": 401}'),
        ):
            reader.follow(Block(page="README.md", line=1, kind=kind, title=title, text=text))
    finally:
        reader.close()


def test_make_targets_and_commands_that_are_named_exist() -> None:
    texts = [page.read_text("utf-8") for page in (*DOCS.rglob("*.md"), *ROOT.glob("*.md"))]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {name for text in texts for name in re.findall(r"`make ([a-z-]+)", text)}
    assert named <= targets
    commands = (DOCS / "reference" / "cli.md").read_text("utf-8")
    for command in {
        each for text in texts for each in re.findall(r"`czo-auth ((?:[a-z][a-z0-9-]* ?)+)`", text)
    }:
        assert f"## czo-auth {command.strip()}\n" in commands, command


@pytest.mark.deep
def test_python_of_the_pages_is_typed(tmp_path: Path) -> None:
    for page in PAGES:
        for block in blocks_of(page):
            if block.kind == "python":
                (tmp_path / f"{page.stem.replace('-', '_')}_{block.line}.py").write_text(block.text, "utf-8")
    files = [str(path) for path in tmp_path.glob("*.py")]
    # The reader's own modules are blocks of their own.
    rules = tmp_path / "mypy.ini"
    rules.write_text(
        "[mypy]\nstrict = True\ndisable_error_code = import-untyped\n[mypy-shop]\nignore_missing_imports = True\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(rules), *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_blocks_that_are_not_run_say_why_and_are_few() -> None:
    found = {
        (page.relative_to(ROOT).as_posix(), block.title)
        for page in (*PAGES, README)
        for block in blocks_of(page)
        if not block.is_run
    }
    assert found == NOT_RUN


def test_every_fence_is_a_block() -> None:
    for page in (*WRITTEN, README):
        fences = sum(line.strip().startswith("```") for line in page.read_text("utf-8").splitlines())
        assert fences == 2 * len(blocks_of(page)), f"{page}: a fence is not understood"
