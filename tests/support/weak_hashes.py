"""
Hashes at the least cost, for tests that are not about the cost.

At its real cost a password takes 36 ms of a core and the backup codes of one enrollment 700 ms: half of what the tests
took. The same code hashes, in the same pools and with the same dummy hashes; only the parameters differ. A test or a
module that is about the cost is marked `real_hashes`.

Usage: weak_hashes.py [ARGUMENT ...] is ``czo-auth`` with such hashes, also in the workers that it forks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import bcrypt

from czo_auth.crypto import codes, insecure, passwords, tokens

IN_EVERY_PROCESS = Path(__file__).with_name("weakly")
"""A folder for PYTHONPATH: with it, the processes that a command starts hash so too."""

Constants = dict[ModuleType, dict[str, object]]

_BCRYPT_COST = 4
_MEMORY_KIB = 8
_PASSES = 1
_NOBODYS = tokens.random_bytes(16).hex()


def _constants() -> Constants:
    return {
        codes: {name: getattr(codes, name) for name in ("COST", "_DUMMY_HASH")},
        passwords: {
            name: getattr(passwords, name)
            for name in ("MEMORY_KIB", "PASSES", "CURRENT_HASHES_BEGIN", "DUMMY_HASH")
        },
    }


_REAL = _constants()
_WEAK: Constants = {
    codes: {
        "COST": _BCRYPT_COST,
        "_DUMMY_HASH": bcrypt.hashpw(_NOBODYS.encode(), bcrypt.gensalt(_BCRYPT_COST)).decode(),
    },
    passwords: {
        "MEMORY_KIB": _MEMORY_KIB,
        "PASSES": _PASSES,
        "CURRENT_HASHES_BEGIN": f"$argon2id$v=19$m={_MEMORY_KIB},t={_PASSES},p={passwords.LANES}$",
        "DUMMY_HASH": insecure.weak_password_hash(_NOBODYS),
    },
}


def hash_weakly() -> None:
    """Hash with next to no work in this process from now on."""
    _set(_WEAK)


@contextmanager
def weak_hashes() -> Iterator[None]:
    """Hash with next to no work for the length of a block, in this process and those that it forks."""
    with _using(_WEAK):
        yield


@contextmanager
def real_hashes() -> Iterator[None]:
    """Hash at the real cost for the length of a block, in this process."""
    with _using(_REAL):
        yield


@contextmanager
def _using(chosen: Constants) -> Iterator[None]:
    before = _constants()
    _set(chosen)
    try:
        yield
    finally:
        _set(before)


def _set(chosen: Constants) -> None:
    for module, values in chosen.items():
        for name, value in values.items():
            setattr(module, name, value)


if __name__ == "__main__":
    from czo_auth.cli import main

    with weak_hashes():
        main()
