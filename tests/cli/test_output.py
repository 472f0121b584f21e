"""What commands and logs print, piece by piece."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from czo_auth.cli.logs import PlainFormatter
from czo_auth.cli.output import print_fields, print_json, print_table


def test_table_in_a_pipe_is_tab_separated(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "on", "at", "many"), [("Ada", True, None, ["a", "b"]), ("Bob\t\n", False, 3, [])])
    assert capsys.readouterr().out == "name\ton\tat\tmany\nAda\tyes\t-\ta, b\nBob\\u0009\\u000a\tno\t3\t-\n"


def test_fields_in_a_pipe_are_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields({"name": "Ada\x1b[2J", "banned": False})
    assert capsys.readouterr().out == "name\tAda\\u001b[2J\nbanned\tno\n"


def test_json_is_one_ascii_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "Zoë\u2028\n\u202e"})
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1
    assert json.loads(out) == {"name": "Zoë\u2028\n\u202e"}


def test_table_on_a_terminal_has_no_markup_of_strangers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(("name",), [("[bold]Ada[/bold] \x1b[2J",)])
    out = capsys.readouterr().out
    assert "[bold]Ada[/bold] \\u001b[2J" in out


def test_log_line_cannot_be_forged() -> None:
    record = logging.LogRecord(
        "czo_auth", logging.WARNING, __file__, 1, "hello %s", ("Eve\n2026-01-01 CRITICAL\r\x1b[2Jx",), None
    )
    lines = PlainFormatter().format(record).split("\n")
    assert lines[0].endswith("WARNING czo_auth: hello Eve")
    assert lines[1:] == ["    2026-01-01 CRITICAL\\u000d\\u001b[2Jx"]


def test_log_keeps_tracebacks_below_their_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    first, *rest = PlainFormatter().format(record).split("\n")
    assert first.endswith("ERROR x: failed")
    assert all(line.startswith("    ") for line in rest)
    assert rest[-1] == "    second"
