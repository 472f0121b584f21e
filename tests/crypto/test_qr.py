from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
import segno

from czo_auth.crypto import qr

URI = "otpauth://totp/Czo:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Czo"


def _expected_modules() -> list[list[int]]:
    return [list(row) for row in segno.make_qr(URI, error="m", mask=0).matrix_iter(border=4)]


def test_the_image_is_an_svg_that_an_attribute_can_hold() -> None:
    uri = qr.svg_data_uri(URI)
    assert uri.startswith("data:image/svg+xml;")
    assert uri.isascii()
    assert not set("\"'<> \n#") & set(uri)


def test_the_image_has_a_white_background_behind_the_margin() -> None:
    svg = ET.fromstring(unquote(qr.svg_data_uri(URI).partition(",")[2]))
    side = len(_expected_modules())
    assert (svg.attrib["width"], svg.attrib["height"]) == (str(4 * side), str(4 * side))
    background, modules = svg.iter("{http://www.w3.org/2000/svg}path")
    assert background.attrib["fill"] == "#fff"
    assert background.attrib["d"] == f"M0 0h{side}v{side}h-{side}z"
    assert modules.attrib["stroke"] == "#000"
    # The first dark module lies below and to the right of four light ones.
    assert modules.attrib["d"].startswith("M4 4.5h7")


def test_the_image_carries_no_script_and_no_text() -> None:
    svg = unquote(qr.svg_data_uri(URI))
    assert "<script" not in svg
    assert "otpauth" not in svg


def test_different_texts_have_different_images() -> None:
    assert qr.svg_data_uri(URI) != qr.svg_data_uri(URI + "x")


def test_the_terminal_shows_every_module_with_its_margin() -> None:
    halves = {" ": (1, 1), "\u2580": (0, 1), "\u2584": (1, 0), "\u2588": (0, 0)}
    lines = qr.terminal(URI).splitlines()
    shown = [[halves[char][half] for char in line] for line in lines for half in (0, 1)]
    expected = _expected_modules()
    assert shown[: len(expected)] == expected
    assert len(shown) - len(expected) <= 1
    assert set(lines[0] + lines[1]) == {"\u2588"}


def test_a_text_too_long_for_a_code_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        qr.svg_data_uri("x" * 3000)
    with pytest.raises(ValueError, match="too large"):
        qr.terminal("x" * 3000)
