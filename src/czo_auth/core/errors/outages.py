"""Refusals because a required service is down or not configured."""

from __future__ import annotations

from czo_auth.core.errors.kinds import Unavailable


class StorageUnavailable(Unavailable):
    message = "The database is unavailable. Nothing was changed. Try again shortly."


class TablesMissing(StorageUnavailable):
    """The tables are missing or older than this program: migrations have not run."""

    message = "The database is not ready. Its migrations have to run first."


class SecretUnreadable(Unavailable):
    """A sealed value could not be decrypted: wrong key, or tampered row. Fails closed (S13)."""

    message = "The code cannot be checked right now. A backup code still works."


class PageFailed(Unavailable):
    """A page could not be shown, because a template of the deployment failed."""

    code = "PAGE_FAILED"
    message = "The page could not be shown."


class MailUnavailable(Unavailable):
    """The mail server does not accept the message; without ``retry_after``, it never will."""

    code = "MAIL_UNAVAILABLE"
    message = "Email cannot be sent right now. Try again shortly."


class MailNotConfigured(Unavailable):
    """This deployment has no mail server; only the operator can change that."""

    code = "MAIL_NOT_CONFIGURED"
    message = "This deployment cannot send email."

    def __init__(self, message: str | None = None, *, retry_after: int | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
