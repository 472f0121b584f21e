"""The alert rules for Prometheus: each parses, and asks for figures that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml  # type: ignore[import-untyped]

from czo_auth.metrics import Meter

ROOT = Path(__file__).parents[2]
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text("utf-8"))
ALERTS: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]
DURATION = re.compile(r"[0-9]+[smhd]")


@pytest.fixture(scope="module")
def labels() -> dict[str, set[str]]:
    """Every sample that the server writes, with the labels that it can have."""
    collectors = Meter()._own._names_to_collectors
    known = {name: {*getattr(collector, "_labelnames", ()), "le"} for name, collector in collectors.items()}
    return {**known, "up": {"job", "instance"}}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_alert_asks_for_figures_that_there_are(alert: dict[str, Any], labels: dict[str, set[str]]) -> None:
    text = promql_parser.parse(alert["expr"]).prettify()
    selectors = re.findall(r"\b(czo_auth_\w+|up)\b(?:\{([^}]*)\})?", text)
    assert selectors
    for name, matchers in selectors:
        assert name in labels, name
        assert set(re.findall(r"(\w+)(?==|!|~)", re.sub(r'"[^"]*"', "", matchers))) <= labels[name], matchers
    for grouped in re.findall(r"by \(([^)]*)\)", text):
        assert {each.strip() for each in grouped.split(",")} <= set().union(*labels.values())


def test_alerts_ask_for_values_that_are_written() -> None:
    """An outcome, a route or a kind of work that no code names would never raise an alarm."""
    code = "".join(
        (ROOT / "src" / "czo_auth" / name).read_text("utf-8")
        for name in ("server.py", "runtime/telemetry.py", "runtime/traced.py")
    )
    asked = re.findall(
        r'(outcome|route|work)(?:=|!=|=~)"([^"]+)"', "".join(alert["expr"] for alert in ALERTS)
    )
    assert {label for label, _ in asked} == {"outcome", "route", "work"}
    for _, values in asked:
        for value in values.split("|"):
            assert f'"{value}"' in code, value


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    assert alert.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert alert["annotations"].keys() == {"summary", "description"}
    assert "for" not in alert or DURATION.fullmatch(alert["for"])
    commands = (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8")
    for command in re.findall(r"`czo-auth ([a-z -]+)`", alert["annotations"]["description"]):
        assert f"## czo-auth {command}\n" in commands, command


def test_names_follow_the_conventions(labels: dict[str, set[str]]) -> None:
    own = {name for name in labels if name.startswith("czo_auth_") and not name.endswith("_created")}
    assert own >= {"czo_auth_requests_total", "czo_auth_request_seconds_bucket"}
    ends = ("_total", "_seconds_bucket", "_seconds_sum", "_seconds_count", "_seconds", "_requests")
    assert all(name.endswith(ends) for name in own), own
