"""The texts of pages and mails: one file per language, which a deployment's own texts override."""

from czo_auth.translations.catalogs import DEFAULT_LANGUAGE, Catalogs, Translations, shipped

__all__ = ["DEFAULT_LANGUAGE", "Catalogs", "Translations", "shipped"]
