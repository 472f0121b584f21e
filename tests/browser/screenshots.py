"""
The pictures of the documentation, of pages as they are: ``make screenshots``.

Not collected with the tests. Every person, secret, code and key in them was made for the picture, on a server that is
gone when it is taken.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.browser.conftest import Deployment
from tests.browser.visitor import NewVisitor, Visitor
from tests.contract.deployments import create_admin

FOLDER = Path(__file__).parents[2] / "docs" / "assets" / "screenshots"
MAX_BYTES = 100_000
COLOURS = 256
WINDOW = {"width": 960, "height": 640}
PEOPLE = ("Grace Hopper", "Alan Turing", "Mary Somerville")


class Photographer:
    """Takes pictures in one colour scheme."""

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme

    def take(self, visitor: Visitor, name: str, *, full_page: bool = True) -> None:
        """Take a picture of the whole page, or of what the window shows of it."""
        # No focus ring, no blinking cursor: the same page gives the same picture.
        visitor.page.evaluate("document.activeElement?.blur()")
        path = FOLDER / f"{name}-{self._scheme}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shot = visitor.page.screenshot(full_page=full_page, animations="disabled", caret="hide")
        _with_palette(Image.open(BytesIO(shot)).convert("RGB")).save(path, optimize=True)
        assert path.stat().st_size < MAX_BYTES, f"{path.name} has {path.stat().st_size} bytes"


def _with_palette(image: Image.Image) -> Image.Image:
    """
    Keep the most frequent colours as they are, and give every other pixel the nearest of them.

    The pages have few colours, the rest is the rim of letters: a palette makes the file a third of its size, and one
    that averages would turn the blue of a few buttons grey.
    """
    counted = image.getcolors(maxcolors=image.width * image.height)
    assert counted is not None
    colours = [colour for _, colour in sorted(counted, reverse=True)]
    kept = colours[:COLOURS]
    places = {colour: place for place, colour in enumerate(kept)}
    # Pillow would look for the nearest among rounded colours, and miss the ones that are there.
    for colour in colours[COLOURS:]:
        places[colour] = places[min(kept, key=lambda one: math.dist(one, colour))]
    small = Image.new("P", image.size)
    small.putdata([places[pixel] for pixel in image.get_flattened_data()])
    small.putpalette([part for colour in kept for part in colour])
    return small


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures(visit: NewVisitor, deployment: Deployment, scheme: str) -> None:
    camera = Photographer(scheme)
    domain = f"{scheme}.example"
    options = {"color_scheme": scheme, "viewport": WINDOW}

    emmy = visit(email=f"emmy@{domain}", **options)
    emmy.name = "Emmy Noether"
    emmy.sign_up()
    emmy.open("/sign-in")
    camera.take(emmy, "sign-in")
    emmy.sign_in()
    emmy.open("/enrol")
    emmy.press("Begin")
    emmy.scan()
    camera.take(emmy, "enrolment")
    emmy.confirm()
    emmy.open("/security")
    camera.take(emmy, "security")
    emmy.open("/api-keys/new")
    emmy.fill(name="nightly report", scopes="orders:read")
    emmy.press("Create key")
    camera.take(emmy, "api-key")
    emmy.page.context.clear_cookies()
    emmy.begin()
    camera.take(emmy, "second-step")

    for name in PEOPLE:
        other = visit(email=f"{name.split()[0].lower()}@{domain}", **options)
        other.name = name
        other.sign_up()
    root = visit(email=f"root@{domain}", **options)
    deployment.operate(lambda auth: create_admin(auth, root.email, now=datetime.now(UTC)))
    root.begin("admin")
    root.press("Begin")
    root.scan()
    root.confirm()
    root.open(f"/admin/users?search={domain}")
    camera.take(root, "admin-users")
    root.open("/admin/audit")
    camera.take(root, "admin-audit", full_page=False)
