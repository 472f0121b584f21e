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


@pytest.mark.parametrize(
    "refusal",
    [
        "you require idna==3.10 and idna==3.9, we can conclude that your requirements are unsatisfiable.",
        "npm error code ERESOLVE",
    ],
)
def test_versions_that_exclude_each_other_fail_the_test(refusal: str) -> None:
    """They are ours: a skip would hide them."""
    refused = [sys.executable, "-c", f"raise SystemExit({refusal!r})"]
    # Both, for a skip that comes out of here would skip this test.
    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception)) as ended:
        fetch(refused, packages=PACKAGES, seconds=60)
    assert ended.type is pytest.fail.Exception


@pytest.mark.parametrize(
    "absent", ["django was not found in the package registry", "there is no version of django==5.2.*"]
)
def test_version_that_a_registry_does_not_have_is_skipped(absent: str) -> None:
    text = f"Because {absent} and you require it, we can conclude that your requirements are unsatisfiable."
    with pytest.raises(pytest.skip.Exception, match="no registry gave"):
        fetch([sys.executable, "-c", f"raise SystemExit({text!r})"], packages=PACKAGES, seconds=60)


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
