"""Databases with a few people in them: prepared once for the test process, and copied."""

from __future__ import annotations

import asyncio
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from tests.contract.deployments import Prepared, prepare
from tests.support.postgres import PostgresServer


class Databases(Protocol):
    """Prepared databases of one kind."""

    prepared: Prepared

    def new(self) -> str:
        """Give the address of a fresh copy."""

    def drop(self, url: str) -> None:
        """Delete a copy that nobody needs any more."""


@dataclass
class SqliteDatabases:
    """Copies of an SQLite file."""

    prepared: Prepared
    template: Path
    directory: Path
    made: int = 0

    @classmethod
    def prepare(cls, directory: Path) -> Self:
        template = directory / "template.sqlite3"
        return cls(asyncio.run(prepare(f"sqlite:///{template}")), template, directory)

    def keep(self) -> None:
        """Let other processes have what was prepared, by `kept`."""
        self.template.with_name("people").write_bytes(pickle.dumps(self.prepared))

    @classmethod
    def kept(cls, kept: Path, directory: Path) -> Self:
        """Copy from what another process prepared in the folder *kept*, in a second less for each person."""
        people = pickle.loads((kept / "people").read_bytes())
        return cls(people, kept / "template.sqlite3", directory)

    def new(self) -> str:
        self.made += 1
        path = self.directory / f"{self.made}.sqlite3"
        shutil.copy(self.template, path)
        return f"sqlite:///{path}"

    def drop(self, url: str) -> None:
        Path(url.removeprefix("sqlite:///")).unlink()


@dataclass
class PostgresDatabases:
    """Copies of a PostgreSQL database."""

    prepared: Prepared
    template: str
    server: PostgresServer

    @classmethod
    def prepare(cls, server: PostgresServer) -> Self:
        made: list[Prepared] = []
        template = server.template("people", lambda url: made.append(asyncio.run(prepare(url))))
        return cls(made[0], template, server)

    def new(self) -> str:
        return self.server.url(self.server.create_database(template=self.template))

    def drop(self, url: str) -> None:
        self.server.drop_database(url.rpartition("/")[2])
