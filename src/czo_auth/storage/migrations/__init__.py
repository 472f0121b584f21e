"""Alembic's folder: the environment and one file per revision."""

from __future__ import annotations

from typing import Final

HEAD: Final = "0021"
"""The newest revision; named here so that a start that has nothing to migrate need not import Alembic."""
