"""The stories come out as the model says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.databases import Databases
from tests.fuzz.model.machine import Machine
from tests.fuzz.model.places import InProcess
from tests.fuzz.stories import SELDOM, STORIES, Story


def _listed(story: Story) -> Any:
    marks = [pytest.mark.deep] if story in SELDOM else []
    return pytest.param(story, marks=marks, id=story.__name__)


@pytest.mark.deep
@pytest.mark.parametrize("story", [_listed(story) for story in STORIES])
def test_story_comes_out_as_the_model_says(databases: Databases, story: Story) -> None:
    class CurrentRequest(Machine):
        place = InProcess(databases)

    machine = CurrentRequest()
    try:
        machine.sign_up()
        machine.meet()
        story(machine)
        machine.look()
        machine.hold_the_end()
    finally:
        machine.close()
