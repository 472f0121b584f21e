"""What the port of the key check values promises."""

from __future__ import annotations

from tests.storage.rows import NOW, Things


async def test_check_value_is_kept_once_for_each_key(things: Things) -> None:
    assert await things.run(lambda tx: tx.key_checks.find_all()) == {}
    assert await things.run(lambda tx: tx.key_checks.add("k1", "one", now=NOW))
    assert not await things.run(lambda tx: tx.key_checks.add("k1", "another", now=NOW))
    assert await things.run(lambda tx: tx.key_checks.add("k2", "two", now=NOW))
    assert await things.run(lambda tx: tx.key_checks.find_all()) == {"k1": "one", "k2": "two"}


async def test_check_value_is_removed(things: Things) -> None:
    await things.run(lambda tx: tx.key_checks.add("k1", "one", now=NOW))
    await things.run(lambda tx: tx.key_checks.remove("k1"))
    await things.run(lambda tx: tx.key_checks.remove("k1"))
    assert await things.run(lambda tx: tx.key_checks.find_all()) == {}
