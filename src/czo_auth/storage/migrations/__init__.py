"""Alembic's folder: the environment and one file per revision."""

from __future__ import annotations

from typing import Final

HEAD: Final = "0032"
"""The newest revision; named here so that a start that has nothing to migrate need not import Alembic."""

OLDEST_COMPATIBLE: Final = "0021"
"""
The revision of the oldest program that may run on the tables of HEAD, beside programs of HEAD and after them.

A migration that only expands leaves it: new tables, new columns that are nullable or have a default, new indexes. One
that contracts, or changes what a row means, moves it to its own revision, and the changelog says that every older
process has to be stopped first (docs/operations.md).
"""
