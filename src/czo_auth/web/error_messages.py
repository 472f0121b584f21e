"""Error messages: the sentence for each refusal, and the field it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from czo_auth.core.errors import ExpiredCode, Refusal, ValidationFailed
from czo_auth.translations import Translations
from czo_auth.web.forms import Form

_FIELD = {
    "ACCOUNT_TEMPORARILY_LOCKED": "code",
    "INVALID_BACKUP_CODE": "code",
    "INVALID_CODE": "code",
    "INVALID_USER_CODE": "user_code",
    "EXPIRED_DEVICE_CODE": "user_code",
    "INVALID_EMAIL_OR_PASSWORD": "email",
    "INVALID_PASSWORD": "password",
    "ORGANIZATION_SLUG_ALREADY_TAKEN": "slug",
    "PASSWORD_COMPROMISED": "new_password",
    "PASSWORD_TOO_LONG": "new_password",
    "PASSWORD_TOO_SHORT": "new_password",
    "REAUTHENTICATION_REQUIRED": "password",
    "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL": "email",
    "USER_IS_ALREADY_INVITED_TO_THIS_ORGANIZATION": "email",
    "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION": "email",
    "INSUFFICIENT_SCOPE": "scopes",
}
_OWN_NAME = {
    "actorType": "actor",
    "newEmail": "email",
    "expiresAt": "expires",
    "expiresIn": "expires",
    "overlapSeconds": "overlap",
    "allowedIps": "allowed_ips",
    "rateLimitMax": "rate_max",
    "rateLimitTimeWindow": "rate_window",
    "quotaMax": "quota_max",
    "quotaPeriod": "quota_period",
    "apiKeyMaxDays": "max_days",
    "apiKeyUnusedDays": "unused_days",
    "organizationName": "organization_name",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorMessage:
    """
    A refusal as a page shows it.

    Attributes:
        field: The form field with the error; None if it is not about one field.
    """

    code: str
    text: str
    hint: str | None
    field: str | None


def error_message(refusal: Refusal, translations: Translations, form: Form) -> ErrorMessage:
    """Return the message that explains *refusal* to the sender of *form*."""
    where = _FIELD.get(refusal.code)
    keys = [f"error.{refusal.code}"]
    if isinstance(refusal, ValidationFailed) and refusal.details:
        named = str(refusal.details[0][0])
        where = _OWN_NAME.get(named, named)
        keys.insert(0, f"error.VALIDATION_ERROR_{where}")
    if where == "code" and form.raw("backup_code").strip():
        where = "backup_code"
    values: dict[str, object] = {}
    if refusal.retry_after is not None:
        keys.insert(0, f"error.{refusal.code}_wait")
        values["minutes"] = -(-refusal.retry_after // 60)
    sentence = translations.find(*keys) or translations("error.other")
    return ErrorMessage(
        code=refusal.code,
        text=sentence.format_map(values) if values else sentence,
        hint=_hint(refusal, translations),
        field=where if where is not None and where in form else None,
    )


def _hint(refusal: Refusal, translations: Translations) -> str | None:
    if isinstance(refusal, ExpiredCode):
        return translations("error.clock_is_behind")
    return translations.find(f"error.{refusal.code}_hint")
