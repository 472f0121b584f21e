"""Each parser on what once found something, on near relatives of it, and on noise."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.parsers import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_meet_the_oracle_and_some_are_accepted_and_some_refused(name: str) -> None:
    target = TARGETS[name]
    outcomes = {target.check(seed) for seed in target.seeds}
    assert outcomes == {True, False}


@pytest.mark.parametrize("name", TARGETS)
def test_generated_inputs_meet_the_oracle(name: str) -> None:
    target = TARGETS[name]
    pieces = st.sampled_from([*target.seeds, *target.words]) | st.binary(max_size=4)
    near = st.tuples(st.sampled_from(target.seeds), st.integers(0, 80), st.integers(0, 3), pieces).map(
        lambda it: it[0][: it[1]] + it[3] + it[0][it[1] + it[2] :]
    )

    @settings(max_examples=100, database=None)
    @given(data=near | st.lists(pieces, max_size=6).map(b"".join))
    def run(data: bytes) -> None:
        target.check(data)

    run()
