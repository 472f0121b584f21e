"""A short walk over the real server by its own description; `make fuzz` walks for longer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fuzz.explore import Walk, walk
from tests.fuzz.serving import Explored


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explored]:
    with Explored(tmp_path_factory.mktemp("explored")) as explored:
        yield explored


def walk_until_answered(explored: Explored, **how: Any) -> Walk:
    """Walk for a few seconds, and for longer where the machine is too busy for a handful of successes."""
    for seconds in (3, 30, 120):
        seen = walk(explored.server.url, seed=1, seconds=seconds, **how)
        if seen.findings or seen.statuses[200] > 3:
            break
    return seen


@pytest.mark.deep
@pytest.mark.parametrize(("caller", "phase"), [("customer", "fuzzing"), ("administrator", "coverage")])
def test_every_answer_is_as_the_openapi_document_says(explored: Explored, caller: str, phase: str) -> None:
    credential = explored.callers.all[caller]
    seen = walk_until_answered(
        explored, path="/api/auth/openapi.json", credential=credential, examples=1, phases=(phase,)
    )
    assert not seen.findings
    assert seen.statuses[200] > 3


@pytest.mark.deep
def test_every_answer_to_generated_graphql_is_one(explored: Explored) -> None:
    credential = explored.callers.all["customer"]
    seen = walk_until_answered(explored, path="/graphql", credential=credential, examples=10)
    assert not seen.findings
    assert seen.statuses[200] > 3
