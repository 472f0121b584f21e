"""A short walk over the real server by its own description; `make fuzz` walks for longer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.explore import walk
from tests.fuzz.serving import Explored


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explored]:
    with Explored(tmp_path_factory.mktemp("explored")) as explored:
        yield explored


@pytest.mark.parametrize(("caller", "phase"), [("customer", "fuzzing"), ("administrator", "coverage")])
def test_every_answer_is_as_the_openapi_document_says(explored: Explored, caller: str, phase: str) -> None:
    seen = walk(
        explored.server.url,
        path="/api/auth/openapi.json",
        credential=explored.callers.all[caller],
        seed=1,
        examples=1,
        seconds=6,
        phases=(phase,),
    )
    assert not seen.findings
    assert seen.statuses[200] > 3


def test_every_answer_to_generated_graphql_is_one(explored: Explored) -> None:
    seen = walk(
        explored.server.url,
        path="/graphql",
        credential=explored.callers.all["customer"],
        seed=1,
        examples=10,
        seconds=4,
    )
    assert not seen.findings
    assert seen.statuses[200] > 3
