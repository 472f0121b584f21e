"""Settings of what people see: brand, templates and languages."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from czo_auth.brand import Brand
from czo_auth.settings.group import SettingsGroup, Words


class BrandSettings(SettingsGroup):
    """The brand, templates and texts of pages and mails."""

    brand: Brand | None = Field(
        default=None,
        description="A `Brand`, from code only; what it leaves out is read from the settings below.",
    )
    brand_name: str | None = Field(
        default=None,
        description="Name of the service: on pages, in mails, beside passkeys and, unless `CZO_AUTH_TOTP_ISSUER` is "
        "set, in authenticator apps.",
    )
    brand_logo: str | None = Field(
        default=None,
        description="Logo: a file (SVG without script, PNG, JPEG, WebP; at most 256 KiB), or an `https://` address, "
        "which mails show too.",
    )
    brand_accent: str | None = Field(
        default=None,
        description="Color of buttons and links, `#rrggbb`; variants that can be read on light and dark are derived.",
    )
    brand_favicon: Path | None = Field(
        default=None,
        description="Icon in the browser's tab: a file (SVG without script, PNG, ICO; at most 64 KiB).",
    )
    brand_footer_links: Words = Field(
        default=(),
        description="Links below each page and mail: `Imprint=https://shop.example/imprint,Privacy=https://…`; at "
        "most ten.",
    )
    brand_support_address: str | None = Field(
        default=None, description="Email address, or `https://` page, for people who need help."
    )
    templates_dir: Path | None = Field(
        default=None,
        description="Folder of your own page and mail templates, laid over ours.",
    )
    default_language: str = Field(
        default="en",
        pattern=r"^[a-z]{2,8}$",
        description="Language of pages and mails for people whose own is not known: `en`, `fr`, `de`, or one of "
        "`CZO_AUTH_TRANSLATIONS_DIR`.",
    )
    translations_dir: Path | None = Field(
        default=None,
        description="Folder of your own texts, laid over ours: a file for each language, such as `de.toml`.",
    )
