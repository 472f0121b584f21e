"""A test whose packages cannot be had is skipped, and the summary says in one line which and why."""

from __future__ import annotations

import sys

import pytest

from tests.support.registry import fetch

PACKAGES = ["django==5.2.*", "qrcode"]


def test_refusal_of_the_registry_is_told_in_one_line() -> None:
    refused = [sys.executable, "-c", "raise SystemExit('no such\\n   package')"]
    with pytest.raises(pytest.skip.Exception) as skipped:
        fetch(refused, packages=PACKAGES, seconds=60)
    assert skipped.value.msg == "no registry gave django==5.2.*, qrcode: no such package"


def test_long_refusal_is_cut() -> None:
    refused = [sys.executable, "-c", "raise SystemExit('word ' * 1000)"]
    with pytest.raises(pytest.skip.Exception) as skipped:
        fetch(refused, packages=PACKAGES, seconds=60)
    assert skipped.value.msg is not None
    assert len(skipped.value.msg) < 400


def test_registry_that_does_not_answer_is_not_waited_for() -> None:
    silent = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(pytest.skip.Exception, match=r"longer than 0\.2 s"):
        fetch(silent, packages=PACKAGES, seconds=0.2)


def test_what_was_fetched_lets_the_test_go_on() -> None:
    fetch([sys.executable, "-c", "pass"], packages=PACKAGES, seconds=60)
