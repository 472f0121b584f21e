"""What the deployment files say, in the form that a test needs."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"


@dataclass
class Stage:
    """One stage of a Dockerfile: its instructions in order, and what the last of a kind says."""

    steps: list[tuple[str, str]] = field(default_factory=list)

    def all_of(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.steps if name == instruction]

    def words(self, instruction: str) -> list[str]:
        """Give the words of the last *instruction* in its JSON form."""
        said = self.all_of(instruction)[-1]
        words: list[str] = json.loads(said[said.index("[") :])
        return words

    def environment(self) -> dict[str, str]:
        pairs = [pair.partition("=") for said in self.all_of("ENV") for pair in shlex.split(said)]
        return {name: value for name, _, value in pairs}


def stages() -> list[Stage]:
    """Read deploy/Dockerfile, whose lines are joined where they end with a backslash."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    found: list[Stage] = []
    for line in text.replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            found.append(Stage())
        elif name and found:
            found[-1].steps.append((name, rest.strip()))
    return found


def compose() -> dict[str, Any]:
    """Read deploy/compose.yml with its merges done."""
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    return loaded


def manifests() -> Iterator[dict[str, Any]]:
    """Read every Kubernetes object."""
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text())


def units() -> list[Path]:
    return sorted((DEPLOY / "systemd").iterdir())


def unit_settings(path: Path) -> list[tuple[str, str]]:
    """Read the settings of a unit, in order."""
    lines = [line.partition("=") for line in path.read_text().splitlines() if "=" in line and line[0] != "#"]
    return [(name, value) for name, _, value in lines]
