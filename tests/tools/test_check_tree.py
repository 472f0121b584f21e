"""The tree rules, on small git trees of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "check_tree.py"
# Joined from parts for the tool's sake: it reads this file too.
HOST = "https://files.pythonhosted" + ".org/packages/x.whl"
FOLDERS = ["home", "root", "work", "Users"]


@pytest.fixture(scope="module")
def check_tree() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_tree", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # A commit hook exports GIT_DIR, which would send git to the project's own tree.
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


def write(tree: Path, name: str, text: str | bytes) -> None:
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def faults_of(check_tree: ModuleType, tree: Path) -> list[str]:
    return [line for name in check_tree.tree_files(tree) for line in check_tree.complaints(tree, name)]


def test_clean_tree_passes(check_tree: ModuleType, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fine = [f"https://example.com/{folder}/page, ./{folder}/list, ~/{folder}/x" for folder in FOLDERS]
    write(tree, "README.md", "\n".join(fine) + "\n")
    write(tree, "requirements/base.txt", "httpx==0.28.1 \\\n    --hash=sha256:00\n    # via czo-auth\n")
    write(tree, "pyproject.toml", "compile --no-emit-index-url\n")
    assert check_tree.main(tree) == 0
    assert capsys.readouterr().out == "check_tree: 3 files are clean\n"


@pytest.mark.parametrize(
    "text",
    [
        HOST,
        "index: pypi" + ".org",
        '"resolved": "https://registry.npmjs' + '.org/x.tgz"',
        "pip install --index" + "-url x",
        "pip install --extra-index" + "-url x",
    ],
)
def test_package_index_address_is_refused(check_tree: ModuleType, tree: Path, text: str) -> None:
    write(tree, "docs/guide.md", f"first\n{text}\n")
    [fault] = faults_of(check_tree, tree)
    assert fault.startswith("docs/guide.md:2: package index address ")


@pytest.mark.parametrize("folder", FOLDERS)
def test_machine_path_is_refused(check_tree: ModuleType, tree: Path, folder: str) -> None:
    write(tree, "src/x.py", f'PLACE = "/{folder}/ana/keys"\n')
    [fault] = faults_of(check_tree, tree)
    assert fault == f"src/x.py:1: path of one machine '/{folder}/ana'"


def test_own_folder_is_refused(check_tree: ModuleType, tree: Path) -> None:
    write(tree, "notes.md", f"cd {tree.resolve()}/src\n")
    assert faults_of(check_tree, tree) == [f"notes.md:1: path of one machine '{tree.resolve()}'"]


def test_folder_that_only_begins_alike_is_not_the_own_folder(check_tree: ModuleType, tree: Path) -> None:
    write(tree, "notes.md", f"cd {tree.resolve()}er\n")
    assert faults_of(check_tree, tree) == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements/dev.txt", "sub/constraints-ci.txt"])
def test_address_in_a_requirements_file_is_refused(check_tree: ModuleType, tree: Path, name: str) -> None:
    write(tree, name, "x @ git+https:" + "//example.com/x.git\n")
    [fault] = faults_of(check_tree, tree)
    assert fault.startswith(f"{name}:1: a requirements file names an address")


@pytest.mark.parametrize("name", ["uv" + ".lock", "web/package-lock" + ".json"])
def test_lock_file_is_refused(check_tree: ModuleType, tree: Path, name: str) -> None:
    write(tree, name, "{}")
    [fault] = faults_of(check_tree, tree)
    assert fault.startswith(f"{name}: a lock file")


def test_ignored_binary_and_deleted_files_are_passed_over(check_tree: ModuleType, tree: Path) -> None:
    write(tree, ".gitignore", ".venv/\n")
    write(tree, ".venv/x.py", HOST)
    write(tree, "logo.png", b"\x89PNG\0" + HOST.encode())
    write(tree, "gone.txt", HOST)
    subprocess.run(["git", "add", "gone.txt"], cwd=tree, check=True)
    (tree / "gone.txt").unlink()
    assert faults_of(check_tree, tree) == []


def test_tracked_file_is_read_though_it_is_ignored_now(check_tree: ModuleType, tree: Path) -> None:
    write(tree, "kept.txt", HOST)
    subprocess.run(["git", "add", "kept.txt"], cwd=tree, check=True)
    write(tree, ".gitignore", "kept.txt\n")
    assert len(faults_of(check_tree, tree)) == 1


def test_folder_without_git_is_an_error_and_not_a_pass(
    check_tree: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert check_tree.main(tmp_path) == 2


def test_this_project_has_a_clean_tool_and_a_clean_test(check_tree: ModuleType) -> None:
    root = TOOL.parents[1]
    for name in ("tools/check_tree.py", "tests/tools/test_check_tree.py"):
        assert list(check_tree.complaints(root, name)) == []
