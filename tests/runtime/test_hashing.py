"""Backup codes are hashed behind everything else, until somebody waits for them; and each once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from czo_auth.crypto import codes, passwords
from czo_auth.crypto.codes import BackupCode
from czo_auth.runtime.hashing import HashingPool
from tests.delivery.waiting import until


class Hashes:
    """Stands in for bcrypt: counts, remembers the thread, and waits where it is told to."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.threads: dict[str, str] = {}
        self.go = threading.Event()

    def __call__(self, code: BackupCode) -> str:
        self.counted[code.selector] += 1
        self.threads[code.selector] = threading.current_thread().name
        self.go.wait(60)
        return f"hash of {code.selector}"


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> Hashes:
    hashes = Hashes()
    monkeypatch.setattr(codes, "hash_code", hashes)
    return hashes


@pytest.fixture
def pool() -> Iterator[HashingPool]:
    pool = HashingPool(threads=2, queue=256)
    yield pool
    pool.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities for threads")
async def test_event_loop_goes_before_hashes_that_somebody_waits_for_and_those_before_others(
    pool: HashingPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def niceness(*_: object) -> str:
        return str(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    monkeypatch.setattr(codes, "hash_code", niceness)
    monkeypatch.setattr(passwords, "hash_password", niceness)
    own = int(niceness())
    awaited = int(await pool.hash_password("some password"))
    (code,) = await pool.hash_codes(codes.new_codes(1), until_awaited=asyncio.Event())
    # 19 is the lowest priority that there is.
    assert (awaited, int(code.hash)) == (min(own + 5, 19), min(own + 10, 19))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities for threads")
def test_priority_of_the_process_is_lowered_and_never_raised() -> None:
    program = """
import asyncio, os, threading
from czo_auth.crypto import passwords
from czo_auth.runtime.hashing import HashingPool
os.nice(12)
passwords.hash_password = lambda _: str(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
print(os.nice(0), asyncio.run(HashingPool(threads=1, queue=1).hash_password("some password")))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    process, thread = map(int, ran.stdout.split())
    assert process >= 12
    assert thread == min(process + 5, 19)


async def test_system_that_lets_no_priority_be_lowered_still_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    pool = HashingPool(threads=1, queue=1)
    hashed = await pool.hash_password("some password")
    assert (await pool.verify_password(hashed, "some password")).matches
    pool.close()


async def test_codes_that_nobody_waits_for_are_hashed_in_the_background(
    pool: HashingPool, hashes: Hashes
) -> None:
    hashes.go.set()
    fresh = codes.new_codes(10)
    hashed = await pool.hash_codes(fresh, until_awaited=asyncio.Event())
    assert [(one.selector, one.hash) for one in hashed] == [
        (c.selector, f"hash of {c.selector}") for c in fresh
    ]
    assert set(hashes.counted.values()) == {1}
    assert all(name.startswith("czo-auth-codes") for name in hashes.threads.values())


async def test_who_waits_does_not_wait_for_the_codes_of_others(pool: HashingPool, hashes: Hashes) -> None:
    others = [
        asyncio.create_task(pool.hash_codes(codes.new_codes(10), until_awaited=asyncio.Event()))
        for _ in range(5)
    ]
    await until(lambda: hashes.counted)
    await asyncio.sleep(0.05)
    assert sum(hashes.counted.values()) == 1, "one low thread, and it is held"
    mine, awaited = codes.new_codes(10), asyncio.Event()
    ahead = asyncio.create_task(pool.hash_codes(mine, until_awaited=awaited))
    await asyncio.sleep(0.05)
    awaited.set()
    await until(lambda: all(code.selector in hashes.threads for code in mine[:2]))
    assert {hashes.threads[code.selector][:13] for code in mine[:2]} == {"czo-auth-hash"}
    hashes.go.set()
    assert len(await ahead) == 10
    await asyncio.gather(*others)
    assert set(hashes.counted.values()) == {1}, "nothing is hashed twice"
    assert len(hashes.counted) == 60


async def test_code_that_is_being_hashed_is_not_begun_again(pool: HashingPool, hashes: Hashes) -> None:
    fresh, awaited = codes.new_codes(3), asyncio.Event()
    ahead = asyncio.create_task(pool.hash_codes(fresh, until_awaited=awaited))
    await until(lambda: hashes.counted)
    awaited.set()
    hashes.go.set()
    hashed = await ahead
    assert [one.selector for one in hashed] == [code.selector for code in fresh]
    assert set(hashes.counted.values()) == {1}


async def test_regenerated_codes_are_hashed_in_front(pool: HashingPool, hashes: Hashes) -> None:
    hashes.go.set()
    await pool.hash_codes(codes.new_codes(4))
    assert all(name.startswith("czo-auth-hash") for name in hashes.threads.values())


def test_first_password_imports_what_signs_the_token_and_not_on_the_event_loop() -> None:
    script = """
import asyncio, builtins, sys, threading
from czo_auth.runtime.hashing import HashingPool

importing = set()
real = builtins.__import__

def noted(name, *more):
    if name.startswith("joserfc"):
        importing.add(threading.current_thread().name)
    return real(name, *more)

builtins.__import__ = noted

async def main():
    pool = HashingPool(threads=1, queue=1)
    assert "joserfc" not in sys.modules
    await pool.verify_password(None, "correct horse battery staple")
    pool.close()

asyncio.run(main())
assert "joserfc.jwt" in sys.modules
print(*(name.rstrip("_0123456789") for name in importing))
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (found.stdout.split(), found.stderr) == (["czo-auth-hash"], "")
