"""A logo that could harm a browser stops the start, with one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from czo_auth.brand import read_favicon, read_logo
from czo_auth.errors import StartRefused

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">%s</svg>'
PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)


def _file(folder: Path, body: bytes | str) -> Path:
    path = folder / "logo.png"
    path.write_bytes(body.encode() if isinstance(body, str) else body)
    return path


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0" + bytes(32), "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        ((SVG % '<path d="M0 0h9v9z" fill="#123456"/>').encode(), "image/svg+xml"),
    ],
)
def test_the_kind_is_identified_by_the_content(tmp_path: Path, body: bytes, media_type: str) -> None:
    image = read_logo(_file(tmp_path, body))
    assert (image.media_type, image.body) == (media_type, body)


@pytest.mark.parametrize(
    "inside",
    [
        '<defs><linearGradient id="a"><stop offset="0"/></linearGradient></defs><path fill="url(#a)" d="M0 0"/>',
        "<style>.a { fill: url(#a) }</style><title>A \\ B</title>",
        '<use xlink:href="#a"/>',
        '<image href="data:image/png;base64,iVBORw0KGgo="/>',
        '<metadata><x:rdf xmlns:x="urn:x"/></metadata>',
    ],
)
def test_a_harmless_svg_is_taken(tmp_path: Path, inside: str) -> None:
    assert read_logo(_file(tmp_path, SVG % inside)).media_type == "image/svg+xml"


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<ScRiPt>alert(1)</ScRiPt>",
        '<h:script xmlns:h="http://www.w3.org/1999/xhtml">alert(1)</h:script>',
        '<path onload="alert(1)" d="M0 0"/>',
        '<path ONCLICK="alert(1)"/>',
        "<foreignObject><p>x</p></foreignObject>",
        '<a href="javascript:alert(1)"><path d="M0 0"/></a>',
        '<use href="https://evil.example/x.svg#a"/>',
        '<use xlink:href="data:image/svg+xml;base64,PHN2Zz4="/>',
        '<image href="https://evil.example/pixel.png"/>',
        '<animate attributeName="href" to="javascript:alert(1)"/>',
        '<set attributeName="onload" to="alert(1)"/>',
        "<style>@import url(https://evil.example/x.css);</style>",
        "<style>.a { fill: u\\72l(https://evil.example) }</style>",
        '<path style="fill: url(https://evil.example/a)" d="M0 0"/>',
        '<path fill="url( \'https://evil.example/a\')" d="M0 0"/>',
    ],
)
def test_an_svg_that_runs_or_loads_something_is_refused(tmp_path: Path, inside: str) -> None:
    with pytest.raises(StartRefused) as refused:
        read_logo(_file(tmp_path, SVG % inside))
    sentence = str(refused.value)
    assert sentence.startswith("The brand's logo ")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "body",
    [
        '<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG % "&a;",
        '<?xml-stylesheet href="https://evil.example/x.css"?>' + SVG % "",
        SVG % "<path>",
        "<?xml version='1.0'?><html/>",
        b"<svg \xff\xfe",
        "<script>alert(1)</script>",
        "not an image",
        b"GIF89a" + bytes(20),
        b"",
    ],
)
def test_what_is_no_plain_image_is_refused(tmp_path: Path, body: bytes | str) -> None:
    with pytest.raises(StartRefused, match="The brand's logo"):
        read_logo(_file(tmp_path, body))


def test_a_file_that_is_too_large_or_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="larger than 256 KiB"):
        read_logo(_file(tmp_path, PNG + bytes(256 * 1024)))
    with pytest.raises(StartRefused, match="larger than 64 KiB"):
        read_favicon(_file(tmp_path, PNG + bytes(64 * 1024)))
    with pytest.raises(StartRefused, match="cannot be read: No such file"):
        read_logo(tmp_path / "missing.svg")


def test_a_favicon_is_svg_png_or_ico(tmp_path: Path) -> None:
    assert read_favicon(_file(tmp_path, b"\x00\x00\x01\x00" + bytes(20))).media_type == "image/x-icon"
    with pytest.raises(StartRefused, match="not one of ICO, PNG, SVG"):
        read_favicon(_file(tmp_path, b"\xff\xd8\xff\xe0" + bytes(20)))
