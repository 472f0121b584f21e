"""The texts of pages and mails: one file per language, which a deployment's own texts override."""

from czo_auth.translations.catalogues import DEFAULT_LANGUAGE, Catalogues, Translations, shipped

__all__ = ["DEFAULT_LANGUAGE", "Catalogues", "Translations", "shipped"]
