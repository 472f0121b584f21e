"""A check that an application is mounted where the settings say, before it does anything else."""

from __future__ import annotations

import json
import logging
import re
from typing import Final
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from czo_auth.asgi.authentication import DEPLOYMENT
from czo_auth.asgi.paths import own_path
from czo_auth.asgi.problems import NO_SNIFF
from czo_auth.runtime import Runtime

CODE: Final = "MOUNTED_ELSEWHERE"
_LOG = logging.getLogger("czo_auth")


class MountCheck:
    """
    Answers 500 to requests that arrive below another path than the one in the settings, and logs the first.

    Links, mails and `AuthMiddleware` know the path of the settings only. Below another one, the middleware would guard
    the application like a route of the host, so that nobody who has to enroll could.

    Args:
        app: What answers below the path.
        attribute: The attribute of ``Auth`` that the host mounts.
        setting: The setting that holds the path.
    """

    def __init__(self, app: ASGIApp, runtime: Runtime, *, attribute: str, setting: str) -> None:
        self._app = app
        self._runtime = runtime
        self._base: str = getattr(runtime.settings, setting)
        self._own = runtime.own_paths[self._base]
        self._names = attribute, setting
        self._is_logged = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = self._other_root(scope) if scope["type"] == "http" else None
        if root is None:
            await self._app(scope, receive, send)
            return
        await self._refuse(send, root)

    def _other_root(self, scope: Scope) -> str | None:
        """Return the path at which the application is mounted, if it is another one than in the settings."""
        root: str = scope.get("root_path", "").rstrip("/")
        if not root.endswith(self._base):
            return _other_root(scope, self._base, root, self._own) or self._guarded_at_root(scope, root)
        # Below its path inside another application: whether that is right depends on where the middleware is.
        outer = scope.get("app_root_path")
        if outer is None or not self._is_guarded(scope):
            return None
        mounted = root.removeprefix(outer.rstrip("/"))
        return None if mounted == self._base or not root.startswith(outer.rstrip("/")) else mounted

    def _guarded_at_root(self, scope: Scope, root: str) -> str | None:
        """Return ``/`` if the host mounts the application there, behind the middleware."""
        path: str = scope["path"]
        if root or path == self._base or path.startswith(self._base + "/"):
            return None
        raw: bytes | None = scope.get("raw_path")
        return "/" if raw == path.encode() and self._is_guarded(scope) else None

    def _is_guarded(self, scope: Scope) -> bool:
        """Whether the middleware took one of the application's own paths for one of the host's."""
        seen = (scope.get("state") or {}).get(DEPLOYMENT)
        is_ours = seen is not None and seen[0] is self._runtime
        return is_ours and self._own.match(own_path(scope, self._base)) is not None

    async def _refuse(self, send: Send, root: str) -> None:
        attribute, setting = self._names
        way_out = f"mount it at {self._base}" + ("" if root == "/" else f", or set {setting} to {root}")
        message = f"Auth.{attribute} is mounted at {root}, but {setting} is {self._base}: {way_out}."
        if not self._is_logged:
            self._is_logged = True
            _LOG.error("%s", message)
        body = json.dumps({"code": CODE, "message": message, "status": 500}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"cache-control", b"no-store"),
            NO_SNIFF,
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 500, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _other_root(scope: Scope, base: str, root: str, own: re.Pattern[str]) -> str | None:
    """
    Find a mount elsewhere in the paths alone.

    Without a sign of one, the application is reached directly, or a proxy cut its path off.
    """
    path: str = scope["path"]
    if root and (path == root or path.startswith(root + "/")):
        return root
    if path == base or path.startswith(base + "/"):
        return None
    # A proxy cut the first part of the root path off.
    for slash in (found.start() for found in re.finditer("/", root)):
        tail = root[slash:]
        if (path == tail or path.startswith(tail + "/")) and not own.match(own_path(scope, base)):
            return tail
    # The host cut the mount's path off, and left it in the raw path.
    raw = scope.get("raw_path")
    text = "" if raw is None else raw.decode("latin-1").partition("?")[0]
    rest = path if text.endswith(path) else path.removesuffix("/")
    before = unquote(text.removesuffix(rest)) if rest and text.endswith(rest) else ""
    # Some hosts take two slashes for one.
    before = re.sub("//+", "/", before).rstrip("/")
    return None if before.endswith(base) else before or None
