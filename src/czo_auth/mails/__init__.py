"""Mails in the language of their readers, with the deployment's brand, as text and as HTML."""

from czo_auth.mails.writer import MailWriter

__all__ = ["MailWriter"]
