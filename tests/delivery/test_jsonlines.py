# ruff: noqa: ASYNC240 - small files, and nothing else runs in the loop
from __future__ import annotations

import json
import os
import resource
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from czo_auth.core.events.deliver import SinkUnavailable
from czo_auth.delivery.jsonlines import JsonLines
from tests.support.records import an_event

SOURCE = "https://auth.example.com"


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_bytes().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
async def sink(path: Path) -> AsyncIterator[JsonLines]:
    sink = JsonLines(path, source=SOURCE)
    yield sink
    await sink.close()


async def test_each_event_is_one_line_of_a_file_for_its_owner_only(path: Path, sink: JsonLines) -> None:
    for number in range(3):
        await sink.deliver(an_event(number, note="line\nbreak \u2028 é \ud800"))
    assert ids(path) == ["event-0", "event-1", "event-2"]
    assert json.loads(path.read_bytes().splitlines()[0])["source"] == SOURCE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_file_is_appended_to_and_keeps_its_mode(path: Path) -> None:
    path.write_text('{"id":"before"}\n')
    path.chmod(0o640)
    for number in range(2):
        sink = JsonLines(path, source=SOURCE)
        await sink.deliver(an_event(number))
        await sink.close()
    assert ids(path) == ["before", "event-0", "event-1"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_line_goes_to_a_new_file_after_the_old_one_was_moved(path: Path, sink: JsonLines) -> None:
    await sink.deliver(an_event(1))
    path.rename(path.with_suffix(".1"))
    await sink.deliver(an_event(2))
    path.unlink()
    await sink.deliver(an_event(3))
    assert ids(path.with_suffix(".1")) == ["event-1"]
    assert ids(path) == ["event-3"]


async def test_line_after_one_torn_by_a_power_cut_is_whole(path: Path, sink: JsonLines) -> None:
    path.write_text('{"id":"event-0"}\n{"id":"to')
    await sink.deliver(an_event(1))
    first, torn, last = path.read_bytes().splitlines()
    assert (json.loads(first)["id"], torn, json.loads(last)["id"]) == ("event-0", b'{"id":"to', "event-1")


async def test_full_disk_is_an_outage_that_leaves_no_half_line(path: Path, sink: JsonLines) -> None:
    await sink.deliver(an_event(1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel takes twenty bytes more of this file and then says no, as a full disk does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, before[1]))
    try:
        with pytest.raises(SinkUnavailable):
            await sink.deliver(an_event(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert ids(path) == ["event-1"]
    await sink.deliver(an_event(2))
    assert ids(path) == ["event-1", "event-2"]


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
async def test_delivery_resumes_when_the_disk_has_room_again(path: Path, sink: JsonLines) -> None:
    path.symlink_to("/dev/full")
    for _ in range(2):
        with pytest.raises(SinkUnavailable, match="No space left"):
            await sink.deliver(an_event(1))
    path.unlink()
    await sink.deliver(an_event(1))
    assert ids(path) == ["event-1"]


async def test_missing_folder_is_an_outage(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "later" / "events.jsonl", source=SOURCE)
    with pytest.raises(SinkUnavailable):
        await sink.deliver(an_event(1))
    (tmp_path / "later").mkdir()
    await sink.deliver(an_event(1))
    await sink.close()
    assert ids(tmp_path / "later" / "events.jsonl") == ["event-1"]


@pytest.mark.parametrize("content", [object(), float("nan")])
async def test_event_that_is_no_json_is_the_fault_of_the_event(
    path: Path, sink: JsonLines, content: object
) -> None:
    with pytest.raises((TypeError, ValueError)):
        await sink.deliver(an_event(1, content=content))
    assert not path.exists()


async def test_neither_a_moved_file_nor_a_closed_one_stays_open(path: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    sink = JsonLines(path, source=SOURCE)
    for number in range(3):
        await sink.deliver(an_event(number))
        path.rename(path.with_suffix(f".{number}"))
    await sink.close()
    assert len(os.listdir("/dev/fd")) == before
