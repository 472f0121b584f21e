"""The static files of the pages, and those of the deployment's brand."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

from czo_auth.brand import Brand, Image, read_favicon, read_logo
from czo_auth.brand.colors import stylesheet
from czo_auth.brand.images import POLICY as IMAGE_POLICY

OURS: Final = {
    "style.css": "text/css; charset=utf-8",
    "comfort.js": "text/javascript; charset=utf-8",
    "passkeys.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
LOGO, FAVICON, ACCENT = "logo", "favicon", "brand.css"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """
    A file that browsers may cache forever: its URL changes with its content.

    Attributes:
        compressed: The gzip-compressed content; None if that saves nothing.
        policy: Its Content-Security-Policy; None for that of the pages.
    """

    media_type: str
    body: bytes = field(repr=False)
    version: str
    compressed: bytes | None = field(default=None, repr=False)
    policy: str | None = None


def static_files(brand: Brand) -> Mapping[str, StaticFile]:
    """
    Collect all static files by name.

    Raises:
        StartRefused: The logo or the favicon cannot be used.
    """
    folder = files("czo_auth.web").joinpath("static")
    found = {name: _file(folder.joinpath(name).read_bytes(), kind) for name, kind in OURS.items()}
    if brand.logo_file is not None:
        found[LOGO] = _image(read_logo(brand.logo_file))
    if brand.favicon is not None:
        found[FAVICON] = _image(read_favicon(brand.favicon))
    if brand.accent is not None:
        found[ACCENT] = _file(stylesheet(brand.accent).encode("ascii"), OURS["style.css"])
    return found


def _file(body: bytes, media_type: str) -> StaticFile:
    return StaticFile(
        media_type=media_type,
        body=body,
        version=hashlib.sha256(body).hexdigest()[:12],
        compressed=gzip.compress(body, mtime=0),
    )


def _image(image: Image) -> StaticFile:
    return StaticFile(media_type=image.media_type, body=image.body, version=image.digest, policy=IMAGE_POLICY)
