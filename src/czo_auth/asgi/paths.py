"""
Our own paths, and their exact spelling.

If a proxy or a guard reads a path differently from the router, it can be bypassed. So each path has one spelling: no
double or trailing slashes, no dot segments, and nothing percent-encoded. Any other spelling does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from starlette.types import Scope

MISSPELLED = "/%"
"""A path that no route has."""

_FREE = ("/forward-auth/",)
"""Below these, a proxy appends the path of the request that it checks."""

_DOTS = frozenset({".", ".."})
_GROUP = re.compile(r"\(\?P<[a-z_0-9]+>", re.IGNORECASE)


def own_path(scope: Scope, base: str) -> str:
    """
    Return the path below *base*, whichever way the host mounts the application; `MISSPELLED` for another spelling.

    Hosts keep the whole path with a ``root_path`` (Starlette), or strip the prefix (Litestar, which adds a slash).
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(root + "/")):
        path = path[len(root) :]
    elif path.startswith(base + "/") or path == base:
        path = path[len(base) :]
    path = path or "/"
    if path == "/" or path.startswith(_FREE):
        return path
    if not _DOTS.isdisjoint(path.split("/")):
        return MISSPELLED
    raw = scope.get("raw_path")
    if raw is None:
        return path
    text: str = raw.decode("latin-1")
    if text == scope["path"] and "%" not in text:
        # As nearly every request has it: nothing was encoded, so nothing was decoded.
        return path
    return _as_spelled(path, text.partition("?")[0], base)


def _as_spelled(path: str, raw: str, base: str) -> str:
    """Return *path* if the request spells it so, with the base before it."""
    if not raw.endswith(path):
        path = path.removesuffix("/")
        if not raw.endswith(path):
            return MISSPELLED
    before = raw.removesuffix(path)
    is_whole = unquote(before).endswith(base)
    return path if not is_whole or before.endswith(base) else MISSPELLED


def pattern_of(routes: Iterable[Any]) -> re.Pattern[str]:
    """Build one expression that matches the paths of all *routes*, in one step."""
    patterns = [
        _GROUP.sub("(?:", route.path_regex.pattern) for route in routes if hasattr(route, "path_regex")
    ]
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or r"(?!)")
