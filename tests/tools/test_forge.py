"""The files that a forge reads: they name versions, make targets and tools that exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def read(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_tests_run_on_every_python_that_the_package_claims() -> None:
    prefix = "Programming Language :: Python :: 3."
    claimed = [f"3.{each.removeprefix(prefix)}" for each in PROJECT["classifiers"] if each.startswith(prefix)]
    matrix = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == claimed
    assert PROJECT["requires-python"] == f">={claimed[0]}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_targets_of_the_makefile_and_tools_that_are_pinned(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    pinned = (ROOT / "requirements" / "dev.txt").read_text("utf-8")
    for step in steps(read(path)):
        command = step.get("run", "")
        for target in re.findall(r"\bmake ([\w-]+)", command):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        for module in re.findall(r"python -m (\w+)", command):
            assert re.search(rf"^{module}==", pinned, re.MULTILINE), module


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_have_the_least_rights_and_keep_no_credential(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    assert "secrets." not in path.read_text("utf-8")


def test_release_is_attested_and_published_without_a_stored_token() -> None:
    workflow = read(ROOT / ".github" / "workflows" / "release.yml")
    # With the path of a bill of materials the action attests that, without it where the files were built.
    attested = [
        step["with"] for step in steps(workflow) if step.get("uses", "").startswith("actions/attest@")
    ]
    assert [set(given) for given in attested] == [{"subject-path"}, {"subject-path", "sbom-path"}]
    assert {given["subject-path"] for given in attested} == {"dist/*"}
    (publish,) = [step for step in steps(workflow) if step.get("uses", "").startswith("pypa/")]
    assert publish["with"]["attestations"] is True
    assert workflow["jobs"]["publish"]["permissions"] == {"id-token": "write"}


def test_what_is_published_is_what_make_release_built_and_tried_out() -> None:
    workflow = read(ROOT / ".github" / "workflows" / "release.yml")
    commands = [step["run"] for step in workflow["jobs"]["build"]["steps"] if "run" in step]
    assert commands[0] == "make release RELEASE_ARGS=--publish"
    assert not [command for command in commands if "-m build" in command]
    uploads = [step["with"]["path"] for step in steps(workflow) if "upload-artifact" in step.get("uses", "")]
    assert uploads == ["dist/", "dist-sbom/"]


def test_hooks_before_a_commit_run_files_that_exist() -> None:
    hooks = [hook for repo in read(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    for hook in hooks:
        for word in hook["entry"].split():
            if word.startswith("tools/"):
                assert (ROOT / word).is_file(), word
            elif word.startswith(".venv/bin/") and word.removeprefix(".venv/bin/") not in (
                "python",
                "czo-auth",
            ):
                tool = word.removeprefix(".venv/bin/")
                assert re.search(
                    rf"^{tool}==", (ROOT / "requirements" / "dev.txt").read_text("utf-8"), re.MULTILINE
                )


def test_templates_name_targets_and_files_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    template = (ROOT / ".github" / "pull_request_template.md").read_text("utf-8")
    for target in re.findall(r"`make ([\w-]+)`", template):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for page in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md"):
        assert (ROOT / page).is_file()
    for form in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        assert read(form)


def test_the_table_of_commands_has_every_target_that_make_help_lists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    listed = set(re.findall(r'@echo "make ([\w-]+)', makefile))
    table = (ROOT / "DEVELOPERS.md").read_text("utf-8")
    assert set(re.findall(r"^\| `make ([\w-]+)`", table, re.MULTILINE)) == listed
    for target in listed:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
