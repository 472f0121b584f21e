"""Databases with a few people in them, as the contract tests have them."""

from __future__ import annotations

from tests.contract.conftest import databases, postgres_databases, sqlite_databases

__all__ = ["databases", "postgres_databases", "sqlite_databases"]
