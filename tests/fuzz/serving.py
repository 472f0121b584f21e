"""The server that is explored, as a process."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.callers import DRIFT, Callers
from tests.support.server import RunningServer
from tests.support.settings import KEY


class Explored:
    """
    A real server with nothing that would refuse a flood, and its callers.

    Args:
        directory: Where its data and output go.
        database_url: By default an SQLite file there.
    """

    def __init__(self, directory: Path, database_url: str | None = None) -> None:
        url = database_url or f"sqlite:///{directory / 'explored.sqlite3'}"
        self.server = RunningServer(
            directory,
            database_url=url,
            env={
                "AUTH_ENCRYPTION_KEY": KEY,
                "CZO_AUTH_RATE_LIMIT_ENABLED": "false",
                "CZO_AUTH_TOTP_DRIFT": str(DRIFT),
            },
        )
        self.callers = Callers(self.server.url, url)

    def __enter__(self) -> Explored:
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    @property
    def memory(self) -> int:
        """Resident memory of all its processes; unit: bytes."""
        return sum(process.memory_info().rss for process in self.server.processes)
