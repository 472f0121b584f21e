"""Mail: the port through which it leaves, and what each message says, in English and French."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol
from urllib.parse import urlencode, urlsplit

from czo_auth.core.api_keys.key import LeakResponse
from czo_auth.core.errors import Unavailable
from czo_auth.core.text import escape_control
from czo_auth.core.users.email import find_canonical_email

MailKind = Literal[
    "verification",
    "password_reset",
    "invitation",
    "two_factor_reset",
    "two_factor_reset_asked",
    "two_factor_reset_cancelled",
    "password_changed",
    "api_key_leaked",
    "api_key_expiring",
    "api_keys_expiring",
    "api_key_unused",
    "api_keys_unused",
]
Language = Literal["en", "fr"]
DEFAULT_LANGUAGE: Language = "en"


class MailUnavailable(Unavailable):
    """The mail server does not take the message; without ``retry_after``, it never will."""

    code = "MAIL_UNAVAILABLE"
    message = "Mail cannot be sent at present. Try again shortly."


class MailNotConfigured(Unavailable):
    """This deployment has no mail server; waiting does not help, the operator does."""

    code = "MAIL_NOT_CONFIGURED"
    message = "This deployment cannot send mail."

    def __init__(self, message: str | None = None, *, retry_after: int | None = None) -> None:
        super().__init__(message, retry_after=retry_after)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailMessage:
    """
    One message to one person, plain text.

    Attributes:
        to: Canonical address.
        subject: One line.
        text: Hidden from ``repr``, as it holds the token.
        token: What the link carries; None for a notice.

    Raises:
        ValueError: The address or the subject could carry a second header or a second recipient.
    """

    to: str
    subject: str
    text: str = field(repr=False)
    kind: MailKind
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        # The canonical form has no control character, space, comma or bracket.
        if find_canonical_email(self.to) != self.to:
            raise ValueError("mail goes to one canonical address")
        if not self.subject or any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in self.subject):
            raise ValueError("a subject is one line of text")


class Mail(Protocol):
    """Sends mail."""

    async def send(self, message: MailMessage) -> None:
        """
        Send *message*; returns when a server has taken it or, where there is a queue, when it is queued.

        Raises:
            MailUnavailable: It was not taken.
            MailNotConfigured: There is nothing that could take it.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """
    The pages that mail points to.

    Attributes:
        base_url: Where people reach this deployment, ``https://host`` with an optional path.
        verify_email, reset_password, accept_invitation, cancel_reset: Pages that take ``?token=``: a path below the
            base URL, or a whole address where the front end lives on another host.

    Raises:
        ValueError: Something is not an address, or not one that a token can be added to.
    """

    base_url: str
    verify_email: str = "/api/auth/verify-email"
    reset_password: str = "/reset-password"  # noqa: S105 - a path
    accept_invitation: str = "/accept-invitation"
    cancel_reset: str = "/cancel-reset"

    def __post_init__(self) -> None:
        pages = (self.verify_email, self.reset_password, self.accept_invitation, self.cancel_reset)
        for page in ("/", *pages):
            address = self._address(page)
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"{address!r} is not an http(s) address")
            if re.search(r"[^\x21-\x7e]|[?#<>]", address):
                raise ValueError(f"{address!r} must be plain ASCII, without query and fragment")

    def to_page(self, page: str, token: str) -> str:
        """Build the address of *page*, one of this object's, for *token*."""
        return f"{self._address(page)}?{urlencode({'token': token})}"

    def _address(self, page: str) -> str:
        return self.base_url.rstrip("/") + page if page.startswith("/") else page


# --- messages --------------------------------------------------------------------------------------------------------
def compose_verification(
    to: str, *, token: str, links: Links, valid_for: timedelta, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """
    Compose the message that confirms an address.

    It names nobody: whoever signs up with a stranger's address must not get to write to them.
    """
    return _compose(
        to,
        "verification",
        language=language,
        token=token,
        link=links.to_page(links.verify_email, token),
        valid_for=_duration(valid_for, language=language),
    )


def compose_password_reset(
    to: str, *, token: str, links: Links, valid_for: timedelta, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the message with which a forgotten password is replaced."""
    return _compose(
        to,
        "password_reset",
        language=language,
        token=token,
        link=links.to_page(links.reset_password, token),
        valid_for=_duration(valid_for, language=language),
    )


def compose_invitation(
    to: str,
    *,
    token: str,
    links: Links,
    organization: str,
    inviter: str,
    valid_for: timedelta,
    language: Language = DEFAULT_LANGUAGE,
) -> MailMessage:
    """Compose an invitation; the names of *organization* and *inviter* are text that strangers chose."""
    return _compose(
        to,
        "invitation",
        language=language,
        token=token,
        link=links.to_page(links.accept_invitation, token),
        valid_for=_duration(valid_for, language=language),
        organization=_name(organization),
        inviter=_name(inviter),
    )


def compose_two_factor_reset(to: str, *, at: datetime, language: Language = DEFAULT_LANGUAGE) -> MailMessage:
    """Compose the notice that an administrator switched a user's second factor off."""
    return _compose(to, "two_factor_reset", language=language, at=_time(at))


def compose_two_factor_reset_asked(
    to: str,
    *,
    token: str,
    links: Links,
    at: datetime,
    due_at: datetime,
    language: Language = DEFAULT_LANGUAGE,
) -> MailMessage:
    """
    Compose the warning that a user's second factor will be switched off at *due_at*, with the link that cancels it.

    The administrator's reason stays out: it is not written for the user, whom somebody may be trying to deceive.
    """
    return _compose(
        to,
        "two_factor_reset_asked",
        language=language,
        token=token,
        link=links.to_page(links.cancel_reset, token),
        at=_time(at),
        due_at=_time(due_at),
    )


def compose_two_factor_reset_cancelled(
    to: str, *, asked_at: datetime, at: datetime, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the notice that the reset that was asked for at *asked_at* will not happen."""
    return _compose(
        to, "two_factor_reset_cancelled", language=language, asked_at=_time(asked_at), at=_time(at)
    )


def compose_password_changed(to: str, *, at: datetime, language: Language = DEFAULT_LANGUAGE) -> MailMessage:
    """Compose the notice that a password was changed or reset."""
    return _compose(to, "password_changed", language=language, at=_time(at))


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingKey:
    """
    An API key of which its owner is told that it ends.

    Attributes:
        prefix: What lists show of it.
        ends_at: By its expiry or, unless it is used before, for disuse.
    """

    name: str
    prefix: str
    ends_at: datetime


def compose_keys_expiring(
    to: str, keys: Sequence[EndingKey], *, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the notice that API keys are about to expire, one message for all of them."""
    kind: MailKind = "api_key_expiring" if len(keys) == 1 else "api_keys_expiring"
    return _compose(to, kind, language=language, **_ending(keys))


def compose_keys_unused(
    to: str, keys: Sequence[EndingKey], *, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the warning that API keys will be ended because nobody uses them."""
    kind: MailKind = "api_key_unused" if len(keys) == 1 else "api_keys_unused"
    return _compose(to, kind, language=language, **_ending(keys))


def compose_api_key_leaked(
    to: str,
    *,
    name: str,
    prefix: str,
    place: str | None,
    response: LeakResponse,
    at: datetime,
    language: Language = DEFAULT_LANGUAGE,
) -> MailMessage:
    """
    Compose the notice that an API key was reported as leaked.

    Args:
        place: Where it was seen, as the report says: text of a stranger, quoted so that it is no link.
        response: What became of the key.
    """
    told = _NO_PLACE[language] if place is None else _quoted(place, limit=300)
    return _compose(
        to,
        "api_key_leaked",
        language=language,
        name=_name(name),
        prefix=_name(prefix),
        at=_time(at),
        place=told,
        response=_LEAK_RESPONSES[response, language],
    )


_NO_PLACE: dict[Language, str] = {"en": "not said", "fr": "non précisé"}
_LEAK_RESPONSES: dict[tuple[LeakResponse, Language], str] = {
    (
        "revoke",
        "en",
    ): "It was revoked at once and cannot be used again. Create a new key for whatever used it.",
    (
        "revoke",
        "fr",
    ): "Elle a été révoquée aussitôt et ne peut plus servir. Créez une nouvelle clé pour la remplacer.",
    ("quarantine", "en"): (
        "It was switched off. Rotate or revoke it; switch it on again only if you know that nobody else has it."
    ),
    ("quarantine", "fr"): (
        "Elle a été désactivée. Renouvelez-la ou révoquez-la ; ne la réactivez que si personne d'autre ne l'a."
    ),
}
_TEXTS: dict[tuple[MailKind, Language], tuple[str, str]] = {
    ("verification", "en"): (
        "Confirm your email address",
        """Open this link to confirm your email address:

{link}

It works once, within {valid_for}. If you did not ask for this, ignore this message.
""",
    ),
    ("verification", "fr"): (
        "Confirmez votre adresse e-mail",
        """Ouvrez ce lien pour confirmer votre adresse e-mail :

{link}

Il ne fonctionne qu'une fois, pendant {valid_for}. Si vous n'avez rien demandé, ignorez ce message.
""",
    ),
    ("password_reset", "en"): (
        "Reset your password",
        """Open this link to choose a new password:

{link}

It works once, within {valid_for}. All your sessions will end; two-factor authentication stays on.
If you did not ask for this, ignore this message: your password stays as it is.
""",
    ),
    ("password_reset", "fr"): (
        "Réinitialisez votre mot de passe",
        """Ouvrez ce lien pour choisir un nouveau mot de passe :

{link}

Il ne fonctionne qu'une fois, pendant {valid_for}. Toutes vos sessions prendront fin ; la double
authentification reste activée. Si vous n'avez rien demandé, ignorez ce message : votre mot de passe
ne change pas.
""",
    ),
    ("invitation", "en"): (
        "You are invited to “{organization}”",
        """“{inviter}” invites you to join the organization “{organization}”. Open this link to accept:

{link}

It works once, within {valid_for}, for this email address only. If you do not know them, ignore this message.
""",
    ),
    ("invitation", "fr"): (
        "Invitation à rejoindre « {organization} »",
        """« {inviter} » vous invite à rejoindre l'organisation « {organization} ». Ouvrez ce lien pour accepter :

{link}

Il ne fonctionne qu'une fois, pendant {valid_for}, et pour cette adresse e-mail seulement. Si cela ne vous
dit rien, ignorez ce message.
""",
    ),
    ("two_factor_reset", "en"): (
        "Two-factor authentication was switched off",
        """An administrator switched off two-factor authentication for your account on {at}, and ended your sessions.

Sign in and set it up again. If you did not ask for this, change your password and contact your administrator.
""",
    ),
    ("two_factor_reset", "fr"): (
        "La double authentification a été désactivée",
        """Un administrateur a désactivé la double authentification de votre compte le {at} et mis fin à vos sessions.

Connectez-vous et configurez-la de nouveau. Si vous n'avez rien demandé, changez votre mot de passe et
contactez votre administrateur.
""",
    ),
    ("two_factor_reset_asked", "en"): (
        "Two-factor authentication will be switched off",
        """On {at} an administrator asked to switch off two-factor authentication for your account.
It will happen on {due_at}.

If you did not ask for this, somebody may be trying to get into your account. Open this link to cancel:

{link}

Signing in with a code of your authenticator or a backup code cancels it too.
If you asked for this, there is nothing to do but wait.
""",
    ),
    ("two_factor_reset_asked", "fr"): (
        "La double authentification va être désactivée",
        """Le {at}, un administrateur a demandé la désactivation de la double authentification de votre compte.
Elle aura lieu le {due_at}.

Si vous n'avez rien demandé, quelqu'un cherche peut-être à entrer dans votre compte. Ouvrez ce lien pour annuler :

{link}

Se connecter avec un code de votre application ou un code de secours annule aussi la demande.
Si c'est vous qui l'avez demandé, il n'y a rien à faire qu'attendre.
""",
    ),
    ("two_factor_reset_cancelled", "en"): (
        "Two-factor authentication stays on",
        """The request of {asked_at} to switch off two-factor authentication for your account was
cancelled on {at}. Nothing was changed.

If you did not ask for it in the first place, change your password and contact your administrator.
""",
    ),
    ("two_factor_reset_cancelled", "fr"): (
        "La double authentification reste activée",
        """La demande du {asked_at} de désactiver la double authentification de votre compte a été
annulée le {at}. Rien n'a changé.

Si cette demande ne venait pas de vous, changez votre mot de passe et contactez votre administrateur.
""",
    ),
    ("password_changed", "en"): (
        "Your password was changed",
        """The password of your account was changed on {at}, and your other sessions were ended.

If it was not you, reset your password at once and contact your administrator.
""",
    ),
    ("password_changed", "fr"): (
        "Votre mot de passe a été modifié",
        """Le mot de passe de votre compte a été modifié le {at}, et vos autres sessions ont pris fin.

Si ce n'était pas vous, réinitialisez votre mot de passe sans attendre et contactez votre administrateur.
""",
    ),
    ("api_key_expiring", "en"): (
        "Your API key “{name}” expires soon",
        """This API key of yours expires soon:

{keys}

Rotate it, or make a new one, before then, so that whatever uses it goes on working.
""",
    ),
    ("api_key_expiring", "fr"): (
        "Votre clé API « {name} » expire bientôt",
        """Une de vos clés API expire bientôt :

{keys}

Renouvelez-la, ou créez-en une nouvelle, avant cette date pour que ce qui l'utilise continue de fonctionner.
""",
    ),
    ("api_keys_expiring", "en"): (
        "{count} of your API keys expire soon",
        """These API keys of yours expire soon:

{keys}

Rotate them, or make new ones, before then, so that whatever uses them goes on working.
""",
    ),
    ("api_keys_expiring", "fr"): (
        "{count} de vos clés API expirent bientôt",
        """Ces clés API expirent bientôt :

{keys}

Renouvelez-les, ou créez-en de nouvelles, avant ces dates pour que ce qui les utilise continue de fonctionner.
""",
    ),
    ("api_key_unused", "en"): (
        "Your unused API key “{name}” will be ended",
        """Nobody has used this API key of yours for a long time. It ends at the time beside it, or soon after:

{keys}

If it is still needed, use it once before then. If not, there is nothing to do.
""",
    ),
    ("api_key_unused", "fr"): (
        "Votre clé API inutilisée « {name} » va être désactivée",
        """Personne n'a utilisé cette clé API depuis longtemps. Elle prend fin à la date indiquée, ou peu après :

{keys}

Si elle est encore utile, utilisez-la une fois avant cette date. Sinon, vous n'avez rien à faire.
""",
    ),
    ("api_keys_unused", "en"): (
        "{count} of your unused API keys will be ended",
        """Nobody has used these API keys of yours for a long time. Each ends at the time beside it, or soon after:

{keys}

If one is still needed, use it once before then. If not, there is nothing to do.
""",
    ),
    ("api_keys_unused", "fr"): (
        "{count} de vos clés API inutilisées vont être désactivées",
        """Personne n'a utilisé ces clés API depuis longtemps. Chacune prend fin à la date indiquée, ou peu après :

{keys}

Si l'une d'elles est encore utile, utilisez-la une fois avant cette date. Sinon, vous n'avez rien à faire.
""",
    ),
    ("api_key_leaked", "en"): (
        "Your API key “{name}” has leaked",
        """Somebody who holds the whole of your API key “{name}” ({prefix}…) reported it on {at}.

{response}

Where it was seen, as the report says: {place}

Look through the audit log for what was done with the key, and take it out of the place where it was seen.
""",
    ),
    ("api_key_leaked", "fr"): (
        "Votre clé API « {name} » a fuité",
        """Quelqu'un qui détient votre clé API « {name} » ({prefix}…) entière l'a signalée le {at}.

{response}

Où elle a été vue, selon le signalement : {place}

Vérifiez dans le journal d'audit ce qui a été fait avec la clé, et retirez-la de l'endroit où elle a été vue.
""",
    ),
}


def _ending(keys: Sequence[EndingKey]) -> dict[str, str]:
    """Give the words about keys that end; their names are text that their owner chose."""
    lines = [f"- {_name(key.name)} ({_name(key.prefix)}…): {_time(key.ends_at)}" for key in keys]
    return {"name": _name(keys[0].name), "count": str(len(keys)), "keys": "\n".join(lines)}


def _compose(
    to: str, kind: MailKind, *, language: Language, token: str | None = None, **words: str
) -> MailMessage:
    subject, text = _TEXTS[kind, language]
    # One pass over our own template: braces in a name stay braces.
    return MailMessage(
        to=to, subject=subject.format_map(words), text=text.format_map(words), kind=kind, token=token
    )


def _name(text: str) -> str:
    return _quoted(text, limit=64).replace("”", "'").replace("»", "'")


def _quoted(text: str, *, limit: int) -> str:
    """Make what a stranger chose fit to quote: one short line that no mail program turns into a link."""
    spread = re.sub(r"(?<=\S)([.:/\\@]+)(?=\S)", r" \1 ", text.strip()[:limit])
    return escape_control(spread, limit=limit)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _duration(duration: timedelta, *, language: Language) -> str:
    minutes = round(duration.total_seconds() / 60)
    if minutes % 60 or minutes == 0:
        return f"{minutes} min"
    hours = minutes // 60
    unit = {"en": "hour", "fr": "heure"}[language]
    return f"{hours} {unit}" if hours == 1 else f"{hours} {unit}s"
