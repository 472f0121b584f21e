"""Sample mails of every kind. Nobody is mailed, and the links do not work."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, get_args

from czo_auth.core import mail_drafts as compose
from czo_auth.core.mail import Links, MailDraft, MailKind, MailOrigin, MailValue
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens

_NOTICES: Final[Mapping[MailKind, Mapping[str, MailValue | None]]] = {
    "password_changed": {},
    "two_factor_enabled": {},
    "two_factor_replaced": {},
    "two_factor_disabled": {},
    "two_factor_stopped": {},
    "wrong_codes": {},
    "backup_code_used": {},
    "backup_codes_renewed": {},
    "new_browser": {},
    "passkey_added": {"name": "Work laptop"},
    "passkey_removed": {"name": None},
    "api_key_created": {"name": "Nightly export", "prefix": "czo_AbCd"},
}


def sample_draft(kind: MailKind, *, links: Links, now: datetime, language: str | None = None) -> MailDraft:
    """Make a draft of *kind*, as if it were mailed *now*."""
    return _samples(links, now, language)[kind]


def _samples(links: Links, now: datetime, language: str | None) -> dict[MailKind, MailDraft]:
    user = _sample_user(now, language)
    token, hour = tokens.MAIL + "EXAMPLE" * 6 + "A", timedelta(hours=1)
    origin = MailOrigin(at=now, ip="192.0.2.7", user_agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
    keys = [
        compose.EndingKey(name="Nightly export", prefix="czo_AbCd", ends_at=now + timedelta(days=7)),
        compose.EndingKey(name="Deployment", prefix="czo_WxYz", ends_at=now + timedelta(days=8)),
    ]
    found: dict[MailKind, MailDraft] = {
        kind: _notice(user, kind, origin, links, values) for kind, values in _NOTICES.items()
    }
    found["two_factor_locked"] = _notice(user, "two_factor_locked", origin, links, {"until": now + hour})
    drafts = [
        compose.compose_verification(
            user, token=token, links=links, made=origin, valid_for=timedelta(days=1)
        ),
        compose.compose_password_reset(user, token=token, links=links, valid_for=hour),
        compose.compose_invitation(
            user,
            token=token,
            links=links,
            organization="Example GmbH",
            inviter="Grace",
            valid_for=timedelta(days=2),
        ),
        compose.compose_account_created(user, token=token, links=links, valid_for=timedelta(days=2)),
        compose.compose_account_secured(user, token=token, links=links, valid_for=hour),
        compose.compose_account_deleted(user, at=now),
        compose.compose_account_exported(user, at=now),
        compose.compose_address_proved(user, at=now, ended=get_args(compose.Ended)),
        compose.compose_email_change(
            user, token=token, links=links, callback_url=None, valid_for=timedelta(days=1)
        ),
        compose.compose_email_change_notice(user, token=token, links=links, at=now),
        compose.compose_email_change_taken(user, at=now),
        compose.compose_email_change_taken_back(user, at=now),
        compose.compose_two_factor_reset(user, at=now),
        compose.compose_two_factor_reset_asked(
            user, token=token, links=links, at=now, due_at=now + timedelta(days=1)
        ),
        compose.compose_two_factor_reset_cancelled(user, asked_at=now - hour, at=now),
        compose.compose_two_factor_due(user, organization="Example GmbH", due_at=now + timedelta(days=7)),
        compose.compose_two_factor_due_by_type(user, due_at=now + timedelta(days=7)),
        compose.compose_two_factor_renewal(user, due_at=now + timedelta(days=7)),
        compose.compose_two_factor_exempt(user, organization="Example GmbH", until=now + timedelta(days=7)),
        compose.compose_two_factor_exemption_ended(user, organization="Example GmbH", at=now),
        compose.compose_api_key_leaked(
            user,
            name="Nightly export",
            prefix="czo_AbCd",
            place="https://git.example/shop/config.yml",
            response="revoke",
            at=now,
        ),
        compose.compose_keys_expiring(user, keys[:1]),
        compose.compose_keys_expiring(user, keys),
        compose.compose_keys_unused(user, keys[:1]),
        compose.compose_keys_unused(user, keys),
        compose.compose_key_changed(
            user,
            "api_key_ended",
            by="Grace",
            name="Nightly export",
            prefix="czo_AbCd",
            organization="Example GmbH",
            what="revoked",
            at=now,
        ),
        compose.compose_key_changed(
            user,
            "service_account_key",
            by="Grace",
            name="Deployment",
            prefix="czo_WxYz",
            organization="Example GmbH",
            what="rotated",
            at=now,
        ),
        compose.compose_keys_made_by(
            user,
            [compose.MadeKey(name="Deployment", prefix="czo_WxYz")],
            total=2,
            person="Grace",
            organization="Example GmbH",
            link=links.to_keys_made_by(user.id, user.id),
        ),
        compose.compose_webhook_switched_off(
            user, host="hooks.example.com", since=now - timedelta(days=5), at=now
        ),
    ]
    return found | {draft.kind: draft for draft in drafts}


def _notice(
    user: User, kind: MailKind, origin: MailOrigin, links: Links, values: Mapping[str, MailValue | None]
) -> MailDraft:
    secure_account_link = links.to_page(links.secure_account, tokens.MAIL + "EXAMPLE" * 8)
    return compose.compose_notice(
        user, kind, origin=origin, secure_account_link=secure_account_link, **values
    )


def _sample_user(now: datetime, language: str | None) -> User:
    return User(
        id="00000000-0000-7000-8000-000000000000",
        email="ada@example.com",
        name="Ada",
        image=None,
        email_verified=True,
        password_hash=None,
        actor_types=frozenset({"customer"}),
        credential_version=1,
        has_factor=False,
        banned_at=None,
        created_at=now,
        updated_at=now,
        language=language,
    )
