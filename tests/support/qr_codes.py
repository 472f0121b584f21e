"""Where QR codes are drawn."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import segno


def note_threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the list to which each encoding of a QR code, and each image of one, adds the thread that made it."""
    threads: list[int] = []
    for owner, name in ((segno, "make_qr"), (segno.QRCode, "svg_data_uri")):
        monkeypatch.setattr(owner, name, _noting(getattr(owner, name), threads))
    return threads


def _noting(draw: Any, threads: list[int]) -> Any:
    def noted(*arguments: Any, **options: Any) -> Any:
        threads.append(threading.get_ident())
        return draw(*arguments, **options)

    return noted
