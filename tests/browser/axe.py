"""axe-core, as a package of the registry brings it."""

from __future__ import annotations

from functools import cache
from importlib import resources

IDS = "() => [...document.querySelectorAll('[id]')].map(each => each.id).filter((id, at, all) => all.indexOf(id) < at)"
RUN = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"


@cache
def axe_source() -> str:
    """Give the script that defines `axe` in a page."""
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
