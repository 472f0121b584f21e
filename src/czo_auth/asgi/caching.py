"""The caching header of the public keys, which are the only response that others may cache."""

from __future__ import annotations

from typing import Final

JWKS_CACHE_CONTROL: Final = "public, max-age=300"
"""A new key is published for longer than this before it signs."""
