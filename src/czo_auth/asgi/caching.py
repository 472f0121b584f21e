"""What others may cache: the public keys, and nothing else."""

from __future__ import annotations

from typing import Final

JWKS_CACHE_CONTROL: Final = "public, max-age=300"
"""A new key is published for longer than this before it signs."""
