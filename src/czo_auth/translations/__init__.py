"""What pages and mails say: one file a language, with a deployment's own words laid over it."""

from czo_auth.translations.catalogues import DEFAULT_LANGUAGE, Catalogues, Translations, shipped

__all__ = ["DEFAULT_LANGUAGE", "Catalogues", "Translations", "shipped"]
