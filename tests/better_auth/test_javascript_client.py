"""
better-auth's official JavaScript client, unchanged, against this server.

The same story is told to better-auth's own server, and step by step the answers must agree: status, code, and every
field with its type. Where they do not, the difference is listed here with its reason, and nothing else may differ.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.better_auth.packages import CLIENT_VERSIONS, scripts_with_packages
from tests.support.server import RunningServer
from tests.support.tethered import tethered

pytestmark = pytest.mark.deep

STORY_SECONDS = 120
# Fifteen codes within one time step of 30 seconds: the client cannot wait for the next step each time.
SETTINGS = {"CZO_AUTH_RATE_LIMIT_ENABLED": "false", "CZO_AUTH_TOTP_DRIFT": "10"}
Step = dict[str, Any]

OTHER_CODES: dict[str, tuple[tuple[int, str], str]] = {
    "org: create for nobody": ((401, "UNAUTHORIZED"), "better-auth sends no code there"),
    "org: invite: unknown role": ((400, "ROLE_NOT_FOUND"), "better-auth sends no code there"),
    "org: update another's": (
        (403, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION"),
        "the code is the same; known but not allowed is 403 here",
    ),
    "org: delete another's": (
        (403, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION"),
        "the code is the same; known but not allowed is 403 here",
    ),
    "org: member removes the owner": (
        (403, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_MEMBER"),
        "who may not remove an owner need not hear whether it is the last one",
    ),
    "org: admin removes the owner": (
        (403, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_MEMBER"),
        "who may not remove an owner need not hear whether it is the last one",
    ),
    "org: cancel as a stranger": (
        (400, "INVITATION_NOT_FOUND"),
        "what is not yours to see does not exist",
    ),
}
METADATA_IS_TEXT = frozenset({"list", "activate by slug", "activate", "full", "full by slug", "delete"})
"""Calls in which better-auth gives an organization's metadata as JSON text, and as an object in the others."""


@dataclass(frozen=True, kw_only=True)
class Stories:
    """What the client reported, by name of the step: of better-auth's server and of this one."""

    reference: dict[str, Step]
    ours: dict[str, Step]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    server = RunningServer(tmp_path_factory.mktemp("server"), env=SETTINGS)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module", params=CLIENT_VERSIONS)
def stories(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, server: RunningServer
) -> Iterator[Stories]:
    scripts = scripts_with_packages(request.param, tmp_path_factory.mktemp("scripts"))
    mail_file = scripts / "mails.txt"
    reference = subprocess.Popen(
        tethered([_node(), "reference.mjs", str(mail_file)], signal=signal.SIGTERM),
        cwd=scripts,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert reference.stdout is not None
        ours = _tell(scripts, server.url, "steps-are-spent", server.output_file)
        theirs = _tell(scripts, reference.stdout.readline().strip(), "steps-may-repeat", mail_file)
        yield Stories(ours=_told(ours), reference=_told(theirs))
    finally:
        reference.communicate()


def _node() -> str:
    return shutil.which("node") or "node"


def _tell(scripts: Path, url: str, steps: str, mail_file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        tethered([_node(), "client.mjs", url, steps, str(mail_file)], signal=signal.SIGTERM),
        cwd=scripts,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _told(telling: subprocess.Popen[str]) -> dict[str, Step]:
    output, _ = telling.communicate(timeout=STORY_SECONDS)
    assert telling.returncode == 0, output
    return {step["name"]: step for step in map(json.loads, output.splitlines())}


def differences(theirs: object, ours: object, where: str = "") -> Iterator[str]:
    """Say what better-auth's answer has and this one lacks or has in another type. More fields are harmless."""
    if "null" in (theirs, ours) or [] in (theirs, ours):
        return
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name, shape in theirs.items():
            if name in ours:
                yield from differences(shape, ours[name], f"{where}.{name}")
            else:
                yield f"{where}.{name} is missing"
    elif isinstance(theirs, list) and isinstance(ours, list):
        yield from differences(theirs[0], ours[0], f"{where}[]")
    elif theirs != ours:
        yield f"{where} is {ours} and not {theirs}"


def test_client_finds_on_this_server_what_it_finds_on_better_auths(stories: Stories) -> None:
    # One test for all, so that parallel test processes tell the stories once.
    _check_that_both_came_to_the_end(stories)
    faults = [*_other_codes(stories), *_other_fields(stories), *_other_conclusions(stories)]
    assert not faults, "\n".join(faults)


def _check_that_both_came_to_the_end(stories: Stories) -> None:
    for story in (stories.ours, stories.reference):
        assert not [step for name, step in story.items() if name.endswith("broke off")]
    assert stories.ours.keys() == stories.reference.keys()
    assert len(stories.ours) > 190
    facts = {name: step["fact"] for name, step in stories.reference.items() if "fact" in step}
    # Told once, so that a reference that went wrong does not hide a fault.
    assert facts["backup codes"] == 10
    assert (facts["enabled before the first code"], facts["enabled after the first code"]) == (False, True)
    assert facts["trusted device is asked"] is False


def _other_codes(stories: Stories) -> Iterator[str]:
    for name, theirs in stories.reference.items():
        if "fact" in theirs:
            continue
        ours = stories.ours[name]
        expected = (theirs["status"], theirs["code"])
        if name in OTHER_CODES:
            if expected == OTHER_CODES[name][0]:
                yield f"{name}: no difference any more"
            expected = OTHER_CODES[name][0]
        if (ours["status"], ours["code"]) != expected:
            yield f"{name}: {ours['status']} {ours['code']} and not {expected}"


def _other_fields(stories: Stories) -> Iterator[str]:
    for name, theirs in stories.reference.items():
        ours = stories.ours[name]
        if "shape" not in theirs or "shape" not in ours:
            continue
        is_known = name.removeprefix("org: ") in METADATA_IS_TEXT
        for fault in differences(theirs["shape"], ours["shape"]):
            if not (is_known and ".metadata is {" in fault):
                yield f"{name}: {fault}"


def _other_conclusions(stories: Stories) -> Iterator[str]:
    for name, theirs in stories.reference.items():
        if "fact" in theirs and stories.ours[name]["fact"] != theirs["fact"]:
            yield f"{name}: {stories.ours[name]['fact']} and not {theirs['fact']}"
