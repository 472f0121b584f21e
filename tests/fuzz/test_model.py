"""The product against a model of it: short here, long by `make fuzz`."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contract.databases import Databases
from tests.fuzz.model.machine import Machine
from tests.fuzz.model.places import InProcess

RUNS = int(os.environ.get("FUZZ_RUNS", "2"))
STEPS = int(os.environ.get("FUZZ_STEPS", "20"))


@pytest.mark.deep
def test_every_answer_is_the_one_of_the_model(databases: Databases) -> None:
    class CurrentRequest(Machine):
        place = InProcess(databases)

    run_state_machine_as_test(
        CurrentRequest,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            # To shrink takes minutes; the steps that failed are printed as they are.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
