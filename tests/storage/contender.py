"""
A process that fights over rows: URL CALLS.

Says ``ready``; reads one line, ``{contest: [row, …]}``; does to each row what its contest says, CALLS times at once;
answers ``{contest: {row: [result, …]}}``.
"""

from __future__ import annotations

import asyncio
import json
import sys

from czo_auth.storage import open_storage
from tests.storage.contests import CONTESTS, Result


async def main(url: str, calls: int) -> None:
    storage = open_storage(url)
    await storage.start()
    print("ready", flush=True)
    work: dict[str, list[str]] = json.loads(sys.stdin.readline())
    results: dict[str, dict[str, list[Result]]] = {}
    for name, rows in work.items():
        act = CONTESTS[name].act
        for row in rows:
            acts = [storage.transactions.run(lambda tx: act(tx, row)) for _ in range(calls)]  # noqa: B023
            results.setdefault(name, {})[row] = await asyncio.gather(*acts)
    await storage.close()
    print(json.dumps(results), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
