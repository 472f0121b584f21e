"""Logos and favicons from files: checked once, at the start, and refused if they could harm a browser."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.parsers import expat

from czo_auth.core.limits import MAX_FAVICON_BYTES, MAX_LOGO_BYTES
from czo_auth.errors import StartRefused

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
"""Content security policy of an image: opened by itself, it runs and loads nothing."""

_SVG, _PNG, _JPEG, _WEBP, _ICO = "image/svg+xml", "image/png", "image/jpeg", "image/webp", "image/x-icon"
_LOGOS: Final = frozenset({_SVG, _PNG, _JPEG, _WEBP})
_FAVICONS: Final = frozenset({_SVG, _PNG, _ICO})
_NAMES: Final = {_SVG: "SVG", _PNG: "PNG", _JPEG: "JPEG", _WEBP: "WebP", _ICO: "ICO"}
_NAMESPACE: Final = "http://www.w3.org/2000/svg"
_ELEMENTS: Final = frozenset(
    (
        *("svg", "g", "defs", "symbol", "use", "title", "desc", "metadata", "switch", "style", "image"),
        *("path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan", "textPath"),
        *("linearGradient", "radialGradient", "stop", "pattern", "clipPath", "mask", "marker", "filter"),
        *("feBlend", "feColorMatrix", "feComponentTransfer", "feComposite", "feConvolveMatrix", "feFlood"),
        *("feDiffuseLighting", "feDisplacementMap", "feDistantLight", "feDropShadow", "feMergeNode"),
        *(
            "feFuncA",
            "feFuncB",
            "feFuncG",
            "feFuncR",
            "feGaussianBlur",
            "feMerge",
            "feMorphology",
            "feOffset",
        ),
        *("fePointLight", "feSpecularLighting", "feSpotLight", "feTile", "feTurbulence"),
    )
)
"""What an SVG may be made of; nothing here runs, moves or embeds a document."""
_FOREIGN: Final = frozenset({"script", "iframe", "object", "embed", "html"})
"""What it may not hold under any other namespace either."""
_INSIDE = re.compile(r"#[\w.:-]*|data:image/(?:png|jpeg|webp);base64,[A-Za-z0-9+/=\s]*")
_OUTSIDE_STYLE = re.compile(r"@import|expression\s*\(|url\(\s*['\"]?(?!#)|\\|javascript:", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """
    An image that may be served.

    Attributes:
        digest: Of its content; part of its address, so that browsers may keep it forever.
    """

    media_type: str
    body: bytes = field(repr=False)
    digest: str


def read_logo(path: Path) -> Image:
    """
    Read the logo.

    Raises:
        StartRefused: It cannot be read, is too large, is not an image of a kind that is allowed, or holds script.
    """
    return _read(path, "logo", kinds=_LOGOS, max_bytes=MAX_LOGO_BYTES)


def read_favicon(path: Path) -> Image:
    """
    Read the favicon.

    Raises:
        StartRefused: As for ``read_logo``.
    """
    return _read(path, "favicon", kinds=_FAVICONS, max_bytes=MAX_FAVICON_BYTES)


def _read(path: Path, what: str, *, kinds: frozenset[str], max_bytes: int) -> Image:
    try:
        with path.open("rb") as file:
            body = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a path"
        raise StartRefused(f"The brand's {what} {path} cannot be read: {reason}.") from None
    if len(body) > max_bytes:
        raise StartRefused(f"The brand's {what} {path} is larger than {max_bytes // 1024} KiB.")
    kind = _kind_of(body)
    if kind not in kinds:
        allowed = ", ".join(sorted(_NAMES[each] for each in kinds))
        raise StartRefused(f"The brand's {what} {path} is not one of {allowed}.")
    if kind == _SVG and (reason := next(_dangers(body), None)) is not None:
        raise StartRefused(f"The brand's {what} {path} {reason}.")
    return Image(media_type=kind, body=body, digest=hashlib.sha256(body).hexdigest()[:12])


def _kind_of(body: bytes) -> str | None:
    """Tell the kind of an image by its first bytes, never by its name."""
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return _PNG
    if body.startswith(b"\xff\xd8\xff"):
        return _JPEG
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return _WEBP
    if body.startswith(b"\x00\x00\x01\x00"):
        return _ICO
    start = body.removeprefix(b"\xef\xbb\xbf").lstrip()[:5]
    return _SVG if start.startswith((b"<svg", b"<?xml", b"<!--")) else None


def _dangers(body: bytes) -> Iterator[str]:
    """Return what in an SVG could run or load something, judged by a list of what is allowed."""
    found: list[str] = []
    styles: list[str] = []
    open_elements: list[str] = []

    def open_element(name: str, attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        if not open_elements and local != "svg":
            found.append("is no SVG")
        open_elements.append(local)
        is_svg = space in (_NAMESPACE, "")
        if local not in _ELEMENTS if is_svg else local.lower() in _FOREIGN:
            found.append(f"holds the element {local[:40]}, which is not allowed")
        for attribute, value in attributes.items():
            found.extend(_dangers_of_attribute(attribute.rpartition(" ")[2], value))

    def read_text(text: str) -> None:
        if open_elements[-1] == "style":
            styles.append(text)

    def refuse(*_: object) -> None:
        found.append("holds a document type, which is not allowed")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = open_element
    parser.EndElementHandler = lambda _: open_elements.pop()
    parser.CharacterDataHandler = read_text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ProcessingInstructionHandler = lambda target, _: found.append(
        f"holds the instruction {target[:40]}, which is not allowed"
    )
    try:
        parser.Parse(body, True)  # noqa: FBT003 - expat takes it by place
    except expat.ExpatError as error:
        found.append(f"is not a well-formed SVG (line {error.lineno})")
    yield from found
    if _OUTSIDE_STYLE.search("".join(styles)):
        yield "loads something from elsewhere in its style, or hides that it does"


def _dangers_of_attribute(name: str, value: str) -> Iterator[str]:
    if name.lower().startswith("on"):
        yield f"holds the script {name[:40]}"
    elif name == "href" and not _INSIDE.fullmatch(value.strip()):
        yield "refers to something outside of itself"
    elif _OUTSIDE_STYLE.search(value) and name != "d":
        yield "loads something from elsewhere in its style, or hides that it does"
