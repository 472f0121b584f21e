"""
Refuse a built site that loads anything from another site, or has an unreachable page.

Readers of the documentation should not be visible to third parties. Broken links are refused by the build itself.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

# Attributes that make a browser fetch something, by element; a link to follow (`a href`) is not among them.
FETCHED = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}
ELSEWHERE = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
FETCHED_BY_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)


class Page(HTMLParser):
    """The resources and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.followed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        address = told.get(FETCHED.get(tag, ""))
        # A canonical address says where a page belongs; nothing is fetched.
        if address and told.get("rel") != "canonical":
            self.fetched.append(address)
        if tag == "a" and (target := told.get("href")):
            self.followed.append(target)


def complaints(site: Path) -> Iterator[str]:
    """Return the faults of the site, one per line."""
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        for address in page.fetched:
            if ELSEWHERE.match(address):
                yield f"{path.relative_to(site)} loads {address}"
    for path in sorted(site.rglob("*.css")):
        for address in FETCHED_BY_STYLE.findall(path.read_text("utf-8")):
            yield f"{path.relative_to(site)} loads {address}"
    for path in sorted(pages.keys() - _reachable(site, pages) - {site / "404.html"}):
        yield f"{path.relative_to(site)} is linked from nowhere"


def _reachable(site: Path, pages: dict[Path, Page]) -> set[Path]:
    waiting = [site / "index.html"]
    seen: set[Path] = set()
    while waiting:
        here = waiting.pop()
        if here in seen or here not in pages:
            continue
        seen.add(here)
        inside = (target for target in pages[here].followed if not ELSEWHERE.match(target))
        waiting.extend((here.parent / unquote(urldefrag(target).url)).resolve() for target in inside)
    return seen


def main(site: Path) -> int:
    """Print every complaint about the site; the result is the exit status."""
    if not (site / "index.html").is_file():
        print(f"check_site: no site in {site}", file=sys.stderr)
        return 2
    found = list(complaints(site.resolve()))
    for line in found:
        print(line)
    count = len(list(site.rglob("*.html")))
    print(f"check_site: {len(found)} complaints" if found else f"check_site: {count} pages are clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent / "site"))
