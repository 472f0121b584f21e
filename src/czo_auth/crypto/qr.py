"""QR codes, as an image for pages and as text for terminals."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segno import QRCode

MARGIN = 4
"""The quiet zone that ISO/IEC 18004 requires; unit: modules."""


def svg_data_uri(text: str) -> str:
    """
    Draw *text* as a `data:image/svg+xml` URI.

    The margin and the background are white, because on a dark page a transparent code cannot be scanned.

    Raises:
        ValueError: *text* is too long for a QR code.
    """
    return _code(text).svg_data_uri(
        scale=4, border=MARGIN, dark="#000", light="#fff", svgclass=None, lineclass=None
    )


def terminal(text: str) -> str:
    """
    Draw *text* in half blocks, two modules a character, light on dark, with a light margin.

    Raises:
        ValueError: *text* is too long for a QR code.
    """
    out = io.StringIO()
    _code(text).terminal(out, border=MARGIN, compact=True)
    return out.getvalue()


def _code(text: str) -> "QRCode":
    # Imported late: 60 ms that no request but an enrollment needs.
    import segno

    # Trying all eight masks takes 5 of 6 ms on the event loop. Every scanner reads each; the chequered one leaves no
    # large area of one color in what is random anyway.
    return segno.make_qr(text, error="m", mask=0)
