"""What a company sets so that pages and mails are its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from czo_auth.brand.colors import is_color
from czo_auth.core.limits import MAX_BRAND_NAME, MAX_FOOTER_LABEL, MAX_FOOTER_LINKS, MAX_NAVIGATION
from czo_auth.core.text import is_unsafe
from czo_auth.core.users.email import find_canonical_email

DEFAULT_NAME: Final = "czo-auth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """
    How a deployment presents itself on its pages, in its mails, in authenticator apps and beside passkeys.

    Attributes that are None keep their defaults.

    Attributes:
        name: Name of the service, at most 64 characters.
        logo: A file (SVG without script, PNG, JPEG or WebP, at most 256 KiB) that the pages serve, or an ``https://``
            address. Only one with an address is shown in mails.
        accent: Color of buttons and links, ``#rrggbb``. Variants for light and dark pages are derived, with a contrast
            of at least 4.5 to the text on them and to the page (WCAG 2.2 AA, 1.4.3).
        favicon: A file: SVG without script, PNG or ICO, at most 64 KiB.
        footer_links: Labels and their addresses, ``{"Imprint": "https://shop.example/imprint"}``; at most ten.
        support_address: An email address, or an ``https://`` page, for people who need help.

    Raises:
        ValueError: A value cannot be used; the sentence names it.
    """

    name: str | None = None
    logo: Path | str | None = None
    accent: str | None = None
    favicon: Path | None = None
    footer_links: Mapping[str, str] | Sequence[tuple[str, str]] | None = None
    support_address: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None and not _is_line(self.name, MAX_BRAND_NAME):
            raise ValueError(f"the brand's name must be one line of 1 to {MAX_BRAND_NAME} characters")
        if self.accent is not None and not is_color(self.accent):
            raise ValueError("the brand's accent must be a color like #2457c5")
        if self.logo_address is not None and not is_https(self.logo_address):
            raise ValueError("the brand's logo must be a file, or an address that begins with https://")
        links = self.links
        if len(links) > MAX_FOOTER_LINKS or not all(
            _is_line(label, MAX_FOOTER_LABEL) and (is_https(url) or _is_mailto(url)) for label, url in links
        ):
            raise ValueError(
                f"the brand's footer links must be at most {MAX_FOOTER_LINKS}, each a label of at most "
                f"{MAX_FOOTER_LABEL} characters with an https:// or mailto: address"
            )
        support = self.support_address
        if support is not None and not is_https(support) and find_canonical_email(support) is None:
            raise ValueError("the brand's support address must be an email address, or begin with https://")

    @property
    def links(self) -> tuple[tuple[str, str], ...]:
        """The footer links as pairs of label and address."""
        links = self.footer_links or ()
        return tuple(links.items() if isinstance(links, Mapping) else ((label, url) for label, url in links))

    @property
    def logo_address(self) -> str | None:
        """The address of the logo; None when it is a file, or there is none."""
        return self.logo if isinstance(self.logo, str) and "://" in self.logo else None

    @property
    def logo_file(self) -> Path | None:
        """The file of the logo; None when it has an address, or there is none."""
        return None if self.logo is None or self.logo_address is not None else Path(self.logo)

    @property
    def support_link(self) -> str | None:
        """The support address as something to link to."""
        support = self.support_address
        return support if support is None or is_https(support) else f"mailto:{support}"

    def over(self, other: Brand) -> Brand:
        """Return this brand, with the values of *other* for what is None here."""
        given = {name: value for name in _FIELDS if (value := getattr(self, name)) is not None}
        return replace(other, **given)


_FIELDS: Final = ("name", "logo", "accent", "favicon", "footer_links", "support_address")


def is_https(address: str) -> bool:
    """Whether *address* is a plain ``https://`` address without user name."""
    if len(address) > MAX_NAVIGATION or not re.fullmatch(r"https://[\x21-\x7e]+", address):
        return False
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and parts.username is None and not re.search(r"[\"'<>\\;]", address)
    except ValueError:
        return False


def _is_mailto(address: str) -> bool:
    return address.startswith("mailto:") and find_canonical_email(address[len("mailto:") :]) is not None


def _is_line(text: str, max_length: int) -> bool:
    return 0 < len(text.strip()) <= len(text) <= max_length and not is_unsafe(text)
