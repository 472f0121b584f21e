"""A deployment for every test, empty and migrated."""

from __future__ import annotations

from tests.cli.conftest import migrated, shell

__all__ = ["migrated", "shell"]
