"""What commands and logs print, piece by piece."""

from __future__ import annotations

import json
import logging
import re
import sys
from contextvars import Context
from datetime import UTC, datetime, timedelta

import pytest

from czo_auth.cli.logs import JsonFormatter, PlainFormatter
from czo_auth.cli.output import print_fields, print_json, print_line, print_table


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


def test_table_without_rows_says_so_on_a_terminal_and_is_its_header_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_table(("name", "id"), [])
    assert capsys.readouterr().out == "name\tid\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(("name", "id"), [])
    assert "none" in capsys.readouterr().out


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


def test_json_log_is_one_line_that_cannot_be_forged() -> None:
    try:
        raise ValueError("first\nsecond\x1b[2J")
    except ValueError:
        record = logging.LogRecord(
            "x", logging.ERROR, __file__, 1, "hi %s", ('"}\r\n{"level',), sys.exc_info()
        )
    # Outside of any request that an earlier test began in this process.
    line = Context().run(JsonFormatter().format, record)
    assert line.isascii()
    assert "\n" not in line
    logged = json.loads(line)
    assert (logged["level"], logged["logger"], logged["message"]) == ("ERROR", "x", 'hi "}\\u000d\n{"level')
    assert logged["exception"].endswith("second\\u001b[2J")
    assert logged.keys() == {"time", "level", "logger", "message", "exception"}
    assert datetime.fromisoformat(logged["time"]).utcoffset() == timedelta(0)


NARROW, WIDE = 70, 200
AN_ID = "01983d2e-7c1a-7000-8000-3f1c2b6a9d10"


def _on_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))


@pytest.mark.parametrize("width", [NARROW, 90, 120, WIDE])
def test_no_id_is_wrapped_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    _on_terminal(monkeypatch, width)
    columns = ("address", "name", "organization", "id")
    rows = [("ada@example.com", "a name of several words " * 4, AN_ID, AN_ID)]
    print_table(columns, rows)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert sum(line.count(AN_ID) for line in lines) == 2
    assert max(map(len, lines)) <= width
    assert any(AN_ID in line and line.startswith("id") for line in lines) == (width in (NARROW, 90))


@pytest.mark.parametrize("width", [60, 80, WIDE])
def test_no_id_of_a_log_is_wrapped_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    cells = (
        "auth.session.created",
        "success",
        AN_ID,
        ["user", AN_ID, "pwd"],
        json.dumps({"sessionId": AN_ID}),
    )
    print_line(cells)
    assert capsys.readouterr().out.count("\t") == 4
    _on_terminal(monkeypatch, width)
    print_line(cells)
    first, *more = capsys.readouterr().out.splitlines()
    assert sum(line.count(AN_ID) for line in (first, *more)) == 3
    assert max(map(len, (first, *more))) <= width
    assert all(line.startswith("    ") for line in more)
    assert (more == []) == (width == WIDE)


def test_times_are_relative_on_a_terminal_and_exact_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    monkeypatch.setattr("czo_auth.runtime.clock.utc_now", lambda: now)
    ways = [timedelta(seconds=-20), timedelta(hours=-3), timedelta(minutes=-1), timedelta(days=400)]
    print_table(("at",), [(now + way,) for way in ways[:1]])
    assert capsys.readouterr().out == "at\n2026-03-01T11:59:40.000Z\n"
    _on_terminal(monkeypatch, WIDE)
    print_table(("at",), [(now + way,) for way in ways])
    out = capsys.readouterr().out
    assert [word in out for word in ("now", "3 hours ago", "1 minute ago", "in 1 year")] == [True] * 4
