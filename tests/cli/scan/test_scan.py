"""``czo-auth scan`` as a person or a script uses it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from czo_auth.crypto import tokens
from tests.cli.shell import PROGRAM, Shell

WHO = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com"}
WHO |= {"GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.com"}
PLAIN_GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "LC_ALL": "C"}


@pytest.fixture
def key() -> str:
    return tokens.new_token("czo_")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def git(folder: Path, *words: str) -> str:
    env = {"PATH": os.environ["PATH"], **WHO, **PLAIN_GIT}
    done = subprocess.run(["git", *words], cwd=folder, env=env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, message: str = "a change") -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def scanned(shell: Shell, *words: str, code: int = 1) -> list[dict[str, Any]]:
    done = shell.run("scan", "--json", *words, code=code)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_nothing_found_is_success(fresh: Shell, tree: Path) -> None:
    (tree / "a.txt").write_text("czo_short, and nothing else\n")
    done = fresh.run("scan", str(tree))
    assert done.stdout + done.stderr == ""
    assert not fresh.data.exists(), "it needs no deployment"


def test_key_is_identified_by_its_place_and_never_whole(fresh: Shell, tree: Path, key: str) -> None:
    (tree / f"{key}.env").write_text(f"# a comment\nKEY={key}\n")
    (tree / ".hidden").mkdir()
    (tree / ".hidden" / "x").write_text(f"{key}")
    done = fresh.run("scan", str(tree), code=1)
    assert key[8:] not in done.stdout + done.stderr
    second, first = done.stdout.splitlines()
    assert first == f"{tree}/.hidden/x:1:1: {key[:8]}… API key"
    assert second == f"{tree}/{key[:8]}….env:2:5: {key[:8]}… API key"
    assert "1 different token in 2 places" in done.stderr
    found = scanned(fresh, str(tree))
    assert key[8:] not in str(found)
    assert {one["fingerprint"] for one in found} == {tokens.digest(key)[:16]}


def test_standard_input_is_read(fresh: Shell, key: str) -> None:
    done = fresh.run("scan", "-", stdin=f"log line\n{key}\n", code=1)
    assert done.stdout == f"-:2:1: {key[:8]}… API key\n"


def test_what_cannot_be_read_stops_nothing(fresh: Shell, tree: Path, key: str) -> None:
    os.mkfifo(tree / "a-pipe")
    (tree / "b-link").symlink_to("nowhere")
    (tree / "c-loop").symlink_to(tree)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tree / "d-socket"))
    listening.close()
    (tree / os.fsdecode(b"e-\xff-name")).write_text(key)
    (tree / "z-last").write_text(key)
    found = scanned(fresh, str(tree), str(tree / "gone"))
    assert [Path(one["path"]).name for one in found] == [os.fsdecode(b"e-\xff-name"), "z-last"]
    assert "cannot read" in fresh.run("scan", str(tree / "gone"), code=2).stderr
    printed = fresh.run("scan", str(tree), code=1).stdout
    assert "e-\\udcff-name" in printed


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission_is_reported(fresh: Shell, tree: Path) -> None:
    (tree / "closed").touch(mode=0)
    assert "Permission denied" in fresh.run("scan", str(tree), code=2).stderr


def test_file_that_is_a_link_is_followed_when_named(fresh: Shell, tree: Path, key: str) -> None:
    (tree / "real").write_text(key)
    (tree / "link").symlink_to("real")
    (found,) = scanned(fresh, str(tree / "link"))
    assert found["path"] == str(tree / "link")


def test_key_of_a_deleted_file_is_found_in_the_history(fresh: Shell, tree: Path, key: str) -> None:
    git(tree, "init", "-q")
    (tree / "a.txt").write_text("a\n")
    commit(tree)
    (tree / "config.py").write_text(f"\nKEY = '{key}'\n")
    brought = commit(tree)
    (tree / "renamed.py").write_text((tree / "config.py").read_text())
    (tree / "config.py").unlink()
    commit(tree)
    (tree / "renamed.py").unlink()
    commit(tree)
    git(tree, "gc", "-q")
    assert scanned(fresh, str(tree), code=0) == []
    (found,) = scanned(fresh, "--history", str(tree / "a.txt"))
    assert (found["commit"], found["path"]) == (brought, "config.py")
    assert (found["line"], found["column"]) == (2, 8)
    done = fresh.run("scan", "--history", str(tree), code=1)
    assert done.stdout == f"{brought}:config.py:2:8: {key[:8]}… API key\n"


def test_history_is_all_branches_messages_and_tags(fresh: Shell, tree: Path) -> None:
    keys = [tokens.new_token("czo_") for _ in range(4)]
    git(tree, "init", "-q", "-b", "main")
    message = commit(tree, f"no more {keys[0]}")
    git(tree, "checkout", "-q", "-b", "side")
    (tree / "x").write_text(keys[1])
    side = commit(tree)
    git(tree, "checkout", "-q", "main")
    git(tree, "tag", "-a", "v1", "-m", f"with {keys[2]}")
    (tree / "big").write_bytes(b"\n" * 3_000_000 + keys[3].encode())
    big = commit(tree)
    git(tree, "rm", "-q", "big")
    commit(tree)
    bare = tree.parent / "bare"
    git(tree, "clone", "-q", "--bare", ".", str(bare))
    found = {one["prefix"]: one for one in scanned(fresh, "--history", str(bare))}
    assert set(found) == {key[:8] for key in keys}
    assert found[keys[0][:8]]["commit"] == message
    assert (found[keys[1][:8]]["commit"], found[keys[1][:8]]["path"]) == (side, "x")
    assert found[keys[3][:8]]["commit"] == big
    assert found[keys[3][:8]]["line"] == 3_000_001


def test_folder_without_history_cannot_be_read(fresh: Shell, tree: Path) -> None:
    done = fresh.run("scan", "--history", str(tree), code=2)
    assert "not a git repository" in done.stderr


def test_hook_refuses_a_commit_that_brings_a_key(fresh: Shell, tree: Path, key: str) -> None:
    git(tree, "init", "-q")
    hook = tree / ".git" / "hooks" / "pre-commit"
    program = " ".join(f"'{word}'" for word in PROGRAM)
    hook.write_text(f"#!/bin/sh\nexec {program} scan --staged\n")
    hook.chmod(0o755)
    (tree / "ok.txt").write_text("nothing\n")
    commit(tree)
    (tree / "sub").mkdir()
    (tree / "sub" / "k.txt").write_text(f"\n {key}")
    git(tree, "add", "-A")
    (tree / "sub" / "k.txt").write_text("gone from the disk, still staged")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        git(tree, "commit", "-q", "-m", "a key")
    assert f"sub/k.txt:2:2: {key[:8]}… API key" in refused.value.stdout + refused.value.stderr
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "no key")


def test_configuration_of_a_strangers_repository_runs_nothing(
    fresh: Shell, tree: Path, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tree, "init", "-q")
    (tree / "a.txt").write_text("nothing")
    commit(tree)
    (tree / "b.txt").write_text(key)
    git(tree, "add", "-A")
    ran = tmp_path / "ran"
    for name in (
        "core.fsmonitor",
        "remote.origin.uploadpack",
        "core.sshCommand",
        "diff.external",
        "core.pager",
    ):
        git(tree, "config", name, f"touch {ran}; true")
    settings = {
        "remote.origin.url": str(tmp_path),
        "remote.origin.promisor": "true",
        "protocol.file.allow": "always",
    }
    for name, value in settings.items():
        git(tree, "config", name, value)
    blob = git(tree, "rev-parse", "HEAD:a.txt")
    (tree / ".git/objects" / blob[:2] / blob[2:]).unlink()
    monkeypatch.chdir(tree)
    fresh.run("scan", "--staged", code=1)
    fresh.run("scan", "--history", ".", code=1)
    assert not ran.exists()


def test_first_commit_is_looked_at_too(
    fresh: Shell, tree: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tree, "init", "-q")
    (tree / "k.txt").write_text(key)
    git(tree, "add", "-A")
    monkeypatch.chdir(tree)
    assert fresh.run("scan", "--staged", code=1).stdout == f"k.txt:1:1: {key[:8]}… API key\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--revoke", "."), "--revoke needs --ask"),
        (("--staged", "--history"), "--staged looks at"),
        (("--ask", "http://auth.example.com"), "https only"),
        (("--ask", "ftp://auth.example.com"), "must be like"),
        (("--ask", "https://user:password@auth.example.com"), "no password"),
        (("--ask", "nonsense"), "must be like"),
    ],
)
def test_wrong_usage_is_reported_before_anything_is_read(
    fresh: Shell, words: tuple[str, ...], said: str
) -> None:
    done = fresh.run("scan", *words, code=2)
    assert said in done.stderr
    assert done.stdout == ""
