"""An import that is killed in the middle: every account is whole or not there, and the next run brings the rest."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import PROGRAM, Shell
from tests.importers.moving import FORMATS

ACCOUNTS = 60
SECONDS = 60
COUNTED = ("users", "factors", "api_keys", "members")


def accounts() -> list[str]:
    """Write people who each have an authenticator and a key, and one organization of all of them."""
    lines: list[dict[str, Any]] = [
        {
            "externalId": f"{number}",
            "email": f"person{number}@example.com",
            "name": f"Person {number}",
            "passwordHash": None,
            "emailVerified": True,
            "totpSecret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
            "apiKeys": [
                {"id": f"k{number}", "digest": f"{number:064x}", "prefix": "shop_", "name": "orders"}
            ],
        }
        for number in range(ACCOUNTS)
    ]
    members = {f"{number}": "member" if number else "owner" for number in range(ACCOUNTS)}
    lines.append({"id": "o", "name": "Shop", "slug": "shop", "members": members})
    return [json.dumps(line) + "\n" for line in lines]


def counted(data: Path) -> dict[str, int]:
    with closing(sqlite3.connect(f"file:{data / 'czo-auth.db'}?mode=ro", uri=True)) as database:
        return {
            table: database.execute(f"SELECT count(*) FROM czo_auth_{table}").fetchone()[0]
            for table in COUNTED
        }


@pytest.mark.deep
def test_killed_import_is_completed_by_the_next_run(shell: Shell, tmp_path: Path) -> None:
    lines = accounts()
    command = [*PROGRAM, "import", "json-lines", "--from", "-", "--json"]
    # Its input never ends: so it is killed while it waits for more, or while it brings one of these in.
    with subprocess.Popen(
        command, env=shell.env | FORMATS, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as importing:
        assert importing.stdin is not None
        importing.stdin.writelines(lines[: ACCOUNTS // 2])
        importing.stdin.flush()
        deadline = time.monotonic() + SECONDS
        while counted(shell.data)["users"] < 3:
            assert importing.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        importing.kill()
    before = counted(shell.data)
    assert 0 < before["users"] <= ACCOUNTS // 2
    assert before["factors"] == before["api_keys"] == before["users"]

    file = tmp_path / "accounts.jsonl"
    file.write_text("".join(lines))
    words = ("import", "json-lines", "--from", str(file), "--json")
    counts = json.loads(shell.run(*words, env=FORMATS).stdout)["counts"]
    for kind in ("user", "totp", "apiKey"):
        assert counts[kind]["there"] == before["users"], kind
        assert counts[kind]["imported"] == ACCOUNTS - before["users"], kind
    assert counted(shell.data) == dict.fromkeys(COUNTED, ACCOUNTS)
