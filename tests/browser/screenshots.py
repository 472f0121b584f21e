"""
Pictures of the pages as they are: ``make screenshots``.

Those of the documentation go into ``docs/assets``; every page in three languages, on a desktop and a phone, light and
dark, into ``build/screenshots``, to be looked at. Not collected with the tests. Every person, secret, code and key in
them was made for the picture, on a server that is gone when it is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.conftest import Deployment
from tests.browser.visitor import BEGIN, NewVisitor, Visitor
from tests.contract.deployments import create_admin

FOLDER = Path(__file__).parents[2] / "docs" / "assets" / "screenshots"
EVERYTHING = Path(__file__).parents[2] / "build" / "screenshots"
LANGUAGES = ("en", "fr", "de")
DEVICES = {"desktop": {"width": 1200, "height": 800}, "phone": {"width": 375, "height": 740}}
MAX_BYTES = 100_000
COLORS = 256
WINDOW = {"width": 960, "height": 640}
PEOPLE = ("Grace Hopper", "Alan Turing", "Mary Somerville")


class Photographer:
    """Takes pictures in one color scheme."""

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
    Keep the most frequent colors as they are, and give every other pixel the nearest of them.

    The pages have few colors, the rest is the rim of letters: a palette makes the file a third of its size, and one
    that averages would turn the blue of a few buttons grey.
    """
    counted = image.getcolors(maxcolors=image.width * image.height)
    assert counted is not None
    colors = [color for _, color in sorted(counted, reverse=True)]
    kept = colors[:COLORS]
    places = {color: place for place, color in enumerate(kept)}
    # Pillow would look for the nearest among rounded colors, and miss the ones that are there.
    for color in colors[COLORS:]:
        places[color] = places[min(kept, key=lambda one: math.dist(one, color))]
    small = Image.new("P", image.size)
    small.putdata([places[pixel] for pixel in image.get_flattened_data()])
    small.putpalette([part for color in kept for part in color])
    return small


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_of_the_documentation(visit: NewVisitor, deployment: Deployment, scheme: str) -> None:
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
    emmy.press(BEGIN)
    emmy.scan()
    camera.take(emmy, "enrolment")
    emmy.confirm()
    emmy.open("/security")
    camera.take(emmy, "security")
    emmy.open("/api-keys/new")
    emmy.fill(name="nightly report", scopes="orders:read")
    emmy.submit()
    camera.take(emmy, "api-key")
    emmy.page.context.clear_cookies()
    emmy.begin()
    camera.take(emmy, "second-step")

    for name in PEOPLE:
        other = visit(email=f"{name.split()[0].lower()}@{domain}", **options)
        other.name = name
        other.sign_up()
    root = administrator(visit, deployment, f"root@{domain}", **options)
    root.open(f"/admin/users?search={domain}")
    camera.take(root, "admin-users")
    root.open("/admin/audit")
    camera.take(root, "admin-audit", full_page=False)


def administrator(visit: NewVisitor, deployment: Deployment, email: str, **options: Any) -> Visitor:
    root = visit(email=email, **options)
    deployment.operate(lambda auth: create_admin(auth, root.email, now=datetime.now(UTC)))
    root.begin("admin")
    root.press(BEGIN)
    root.scan()
    root.confirm()
    return root


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", list(DEVICES))
@pytest.mark.parametrize("language", LANGUAGES)
def test_pictures_of_every_page(
    visit: NewVisitor, deployment: Deployment, language: str, device: str, scheme: str
) -> None:
    folder = EVERYTHING / f"{language}-{device}-{scheme}"
    domain = f"{language}-{device}-{scheme}.example"
    options = {"color_scheme": scheme, "viewport": DEVICES[device], "locale": language}
    emmy = visit(email=f"emmy@{domain}", **options)
    emmy.name = "Emmy Noether"
    pictures: list[str] = []

    def take(visitor: Visitor, name: str) -> None:
        pictures.append(name)
        folder.mkdir(parents=True, exist_ok=True)
        visitor.page.screenshot(
            path=folder / f"{len(pictures):02}-{name}.png", full_page=True, animations="disabled"
        )

    def visit_all(visitor: Visitor, paths: Sequence[str]) -> None:
        for path in paths:
            visitor.open(path)
            take(visitor, path.strip("/").partition("?")[0].replace("/", "-"))

    visit_all(emmy, ["/sign-up", "/forgot-password", "/nowhere"])
    emmy.sign_up()
    take(emmy, "signed-up")
    emmy.begin()
    emmy.open("/organizations")
    take(emmy, "organizations-none")
    emmy.fill(name="Noether Institute")
    emmy.submit("main form[action$='/organizations']")
    organization = emmy.path
    emmy.fill(email=f"guest@{domain}")
    emmy.submit("main form[action$='/invitations']")
    take(emmy, "invited")
    visit_all(emmy, ["/organizations", organization, "/api-keys", "/api-keys/new"])
    emmy.fill(name="nightly report", scopes="orders:read")
    emmy.submit()
    take(emmy, "api-key-shown")
    emmy.open("/api-keys")
    take(emmy, "api-keys-one")
    emmy.page.locator("tbody th a").click()
    take(emmy, "api-key")
    emmy.open("/enrol")
    take(emmy, "enrol")
    emmy.press(BEGIN)
    emmy.scan()
    take(emmy, "enrol-scan")
    emmy.enter_first_code()
    take(emmy, "enrol-codes")
    emmy.page.emulate_media(media="print")
    take(emmy, "enrol-codes-printed")
    emmy.page.emulate_media(media="screen")
    emmy.keep_codes()
    take(emmy, "security")
    emmy.page.locator("[data-menu] summary").click()
    take(emmy, "menu")
    visit_all(emmy, ["/activity", "/security/disable", "/password", "/email", "/delete-account", "/admin"])
    emmy.page.emulate_media(forced_colors="active")
    emmy.open("/security")
    take(emmy, "security-forced-colors")
    emmy.page.emulate_media(forced_colors="none")
    emmy.page.context.clear_cookies()
    emmy.begin()
    take(emmy, "second-step")
    emmy.fill(code="000000")
    emmy.submit()
    take(emmy, "second-step-refused")
    root = administrator(visit, deployment, f"root@{domain}", **options)
    visit_all(root, ["/admin", "/admin/users", "/admin/users?search=nobody-like-this", "/admin/new-user"])
    root.open(f"/admin/users?search=emmy@{domain}")
    root.page.locator("tbody th a").click()
    take(root, "admin-user")
    root.fill(reason="spam")
    root.submit("main form[action*='/ban']")
    take(root, "admin-confirm")
    visit_all(root, ["/admin/organizations", "/admin/api-keys", "/admin/audit", "/admin/events"])
    root.open("/admin/audit")
    root.page.locator("tbody summary").first.click()
    take(root, "admin-audit-details")
    visit_all(root, ["/admin/webhooks"])
