"""A release: from a clean tree only, the same bytes each time, and tried out before anybody gets it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.release import ReleaseRefused, refuse_dirty, refuse_untagged

ROOT = Path(__file__).parents[2]


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "kept.txt").write_text("kept\n")
    git(tmp_path, "add", "kept.txt")
    git(tmp_path, "commit", "-qm", "kept")
    return tmp_path


def test_clean_tree_may_be_released(tree: Path) -> None:
    refuse_dirty(tree)


def test_changed_file_is_refused_by_name(tree: Path) -> None:
    (tree / "kept.txt").write_text("changed\n")
    with pytest.raises(ReleaseRefused, match=r"not clean: commit or remove kept\.txt"):
        refuse_dirty(tree)


def test_file_that_nobody_committed_is_refused_by_name(tree: Path) -> None:
    (tree / "forgotten.py").write_text("")
    with pytest.raises(ReleaseRefused, match=r"forgotten\.py"):
        refuse_dirty(tree)


def test_commit_without_the_tag_of_its_version_is_not_published(tree: Path) -> None:
    git(tree, "tag", "v0.1.0")
    with pytest.raises(ReleaseRefused, match=r"no tag v0\.2\.0"):
        refuse_untagged(tree, "0.2.0")
    refuse_untagged(tree, "0.1.0")
    git(tree, "commit", "-q", "--allow-empty", "-m", "later")
    with pytest.raises(ReleaseRefused, match=r"no tag v0\.1\.0"):
        refuse_untagged(tree, "0.1.0")


@pytest.mark.deep
@pytest.mark.timeout(1200)
def test_release_of_a_clone_is_repeatable_and_works_where_nothing_else_is(tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("needs uv, which make setup-dev installs where it can be had")
    clone, environment = tmp_path / "clone", tmp_path / "venv"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True, timeout=120)
    subprocess.run([str(uv), "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
    install = [
        *(str(uv), "pip", "install", "--quiet", "--python", str(environment / "bin" / "python")),
        "--require-hashes",
    ]
    subprocess.run([*install, "-r", "requirements/base.txt"], cwd=clone, check=True, timeout=600)
    subprocess.run([*install, "-r", "requirements/release.txt"], cwd=clone, check=True, timeout=600)
    shutil.copy2(uv, environment / "bin" / "uv")
    ran = subprocess.run(
        [str(environment / "bin" / "python"), "tools/release.py"],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
        timeout=1000,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "built twice, the same bytes" in ran.stdout
    assert ran.stdout.count("steps behaved as documented") == 2
    kept = {path.suffix for path in (clone / "dist").iterdir()}
    assert kept == {".whl", ".gz"}
    (bill,) = (clone / "dist-sbom").glob("*.json")
    read = json.loads(bill.read_text("utf-8"))
    assert read["bomFormat"] == "CycloneDX"
    assert {"fastapi", "granian", "cryptography"} <= {each["name"] for each in read["components"]}
    assert str(tmp_path) not in bill.read_text("utf-8")
