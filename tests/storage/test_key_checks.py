"""What the port of the key check values promises."""

from __future__ import annotations

from tests.support.records import NOW
from tests.support.rows import Rows


async def test_check_value_is_kept_once_for_each_key(rows: Rows) -> None:
    assert await rows.run(lambda tx: tx.key_checks.find_all()) == {}
    assert await rows.run(lambda tx: tx.key_checks.add("k1", "one", now=NOW))
    assert not await rows.run(lambda tx: tx.key_checks.add("k1", "another", now=NOW))
    assert await rows.run(lambda tx: tx.key_checks.add("k2", "two", now=NOW))
    assert await rows.run(lambda tx: tx.key_checks.find_all()) == {"k1": "one", "k2": "two"}


async def test_check_value_is_removed(rows: Rows) -> None:
    await rows.run(lambda tx: tx.key_checks.add("k1", "one", now=NOW))
    await rows.run(lambda tx: tx.key_checks.remove("k1"))
    await rows.run(lambda tx: tx.key_checks.remove("k1"))
    assert await rows.run(lambda tx: tx.key_checks.find_all()) == {}
