"""What each route answers when it does not refuse."""

from __future__ import annotations

from typing import Final

from czo_auth.rest.openapi import records as r
from czo_auth.rest.openapi.records import each, listed, optional, plain
from czo_auth.rest.records import Schema

_STATUS: Final[Schema] = plain(status=r.TRUE)
_ENTERED: Final[Schema] = {"anyOf": [r.SIGNED_IN, r.SECOND_FACTOR_REQUIRED]}
_EXCHANGED: Final[Schema] = plain(
    access_token=r.TEXT,
    issued_token_type=r.TEXT,
    token_type={"const": "Bearer"},
    expires_in=r.COUNT,
    scope=r.TEXT,
)
_FETCHED: Final[Schema] = plain(
    {"expires_in": r.COUNT}, access_token=r.TEXT, token_type={"const": "Bearer"}, scope=r.TEXT
)
_WEBHOOK: Final[Schema] = plain(webhook=r.WEBHOOK)
_WEBHOOK_SECRET: Final[Schema] = plain(secret=r.SIGNING_SECRET)
_CREATED_WEBHOOK: Final[Schema] = plain(webhook=r.WEBHOOK, secret=r.SIGNING_SECRET)
_WEBHOOK_DELIVERY: Final[Schema] = plain(delivery=r.WEBHOOK_DELIVERY)
_WEBHOOKS: Final[Schema] = plain(webhooks=each(r.WEBHOOK), total=r.COUNT, nextCursor=optional(r.ID))
_WEBHOOK_DELIVERIES: Final[Schema] = plain(
    deliveries=each(r.WEBHOOK_DELIVERY), total=r.COUNT, nextCursor=optional(r.TEXT)
)
_EXPORT: Final[Schema] = {"type": "object", "required": ["exportedAt", "user", "audit"]}

ANSWERS: Final[dict[str, Schema]] = {
    # accounts
    "POST /{actor}/sign-up": plain({"organization": r.ORGANIZATION}, user=r.USER),
    "POST /{actor}/sign-in/email": _ENTERED,
    "POST /sign-out": plain(success=r.TRUE),
    "POST /switch-actor": _ENTERED,
    # sessions
    "POST /token/refresh": plain(
        accessToken=r.JWT, refreshToken=r.token("czr_"), expiresIn=r.COUNT, tokenType={"const": "Bearer"}
    ),
    "GET /jwks": plain(
        keys=each(
            plain(
                kty={"const": "EC"},
                crv={"const": "P-256"},
                x=r.TEXT,
                y=r.TEXT,
                use={"const": "sig"},
                alg={"const": "ES256"},
                kid=r.TEXT,
            )
        )
    ),
    # passwords and email
    "POST /change-password": r.SIGNED_IN,
    "POST /request-password-reset": _STATUS,
    "POST /reset-password": _STATUS,
    "POST /send-verification-email": _STATUS,
    "GET /verify-email": plain(status=r.TRUE, user=r.USER),
    # one's own account
    "POST /change-email": _STATUS,
    "POST /revert-email-change": _STATUS,
    "POST /reject-verification": _STATUS,
    "POST /secure-account": _STATUS,
    "POST /delete-user": plain(success=r.TRUE, message=r.TEXT),
    "GET /user/export": _EXPORT,
    # two factors
    "GET /two-factor": plain(
        {"renewBy": r.TIME},
        enabled=r.FLAG,
        pending=r.FLAG,
        requiredByPolicy=r.FLAG,
        backupCodesRemaining=r.COUNT,
        enabledAt=optional(r.TIME),
        methods=r.METHODS,
        passkeys=r.COUNT,
        twoFactorDueAt=optional(r.TIME),
    ),
    "POST /two-factor/enable": plain(
        method={"const": "totp"},
        secret={"type": "string", "pattern": "^[A-Z2-7]{32}$"},
        totpURI={"type": "string", "pattern": "^otpauth://totp/"},
        qrCode={"type": "string", "pattern": "^data:image/svg\\+xml;"},
        backupCodes=each(r.TEXT),
        expiresAt=r.TIME,
    ),
    "POST /two-factor/verify": _ENTERED,
    "POST /two-factor/verify-totp": _ENTERED,
    "POST /two-factor/verify-backup-code": _ENTERED,
    "POST /two-factor/get-totp-uri": plain(totpURI={"type": "string", "pattern": "^otpauth://totp/"}),
    "POST /two-factor/generate-backup-codes": plain(status=r.TRUE, backupCodes=each(r.TEXT)),
    "POST /two-factor/disable": _STATUS,
    "GET /two-factor/trusted-devices": listed("trustedDevices", r.TRUSTED_DEVICE),
    "GET /two-factor/reset": plain(reset=optional(r.RESET)),
    "POST /two-factor/reset/cancel": _STATUS,
    # tokens for other services
    "POST /introspect": {
        "anyOf": [
            plain(active={"const": False}),
            plain(
                {
                    **dict.fromkeys(("client_id", "scope", "act_type", "org", "jti"), r.TEXT),
                    **dict.fromkeys(("ratelimit_policy", "ratelimit"), r.TEXT),
                    **dict.fromkeys(("exp", "iat"), r.COUNT),
                    "aud": {"anyOf": [r.TEXT, each(r.TEXT)]},
                    "amr": each(r.TEXT),
                    "phr": r.TRUE,
                },
                active=r.TRUE,
                token_type={"enum": ["api_key", "session", "access_token"]},
                sub=r.TEXT,
                iss=r.TEXT,
                aal={"enum": [1, 2]},
            ),
        ]
    },
    "POST /token": {"anyOf": [_EXCHANGED, _FETCHED]},
    "POST /token/exchange": _EXCHANGED,
    "GET /.well-known/oauth-authorization-server": r.OBJECT,
    # approval of a command line
    "POST /device/code": plain(
        device_code=r.token("czv_"),
        user_code=r.TEXT,
        verification_uri=r.TEXT,
        verification_uri_complete=r.TEXT,
        expires_in=r.COUNT,
        interval=r.COUNT,
    ),
    "GET /device": plain(
        {
            "client_id": optional(r.TEXT),
            "name": optional(r.TEXT),
            "scope": optional(r.TEXT),
            "organizationId": optional(r.ID),
            "ipAddress": optional(r.TEXT),
            "expiresAt": r.TIME,
        },
        user_code=r.TEXT,
        status={"enum": ["pending", "approved", "denied"]},
    ),
    "POST /device/approve": plain(success=r.TRUE),
    "POST /device/deny": plain(success=r.TRUE),
    "POST /device/token": _FETCHED,
    # passkeys
    "GET /passkey/generate-register-options": r.CREATION_OPTIONS,
    "POST /passkey/verify-registration": r.REGISTERED_PASSKEY,
    "GET /passkey/list-user-passkeys": each(r.PASSKEY),
    "POST /passkey/update-passkey": plain(passkey=r.PASSKEY),
    "POST /passkey/delete-passkey": _STATUS,
    "GET /passkey/generate-authenticate-options": r.REQUEST_OPTIONS,
    "POST /passkey/verify-authentication": r.SIGNED_IN,
    "POST /two-factor/passkey-options": r.REQUEST_OPTIONS,
    "POST /two-factor/verify-passkey": r.SIGNED_IN,
    # API keys
    "POST /api-keys/report-leak": _STATUS,
    # organizations
    "POST /organizations/{organization_id}/invitations": plain(
        invitation=r.INVITATION, token=r.token("czi_")
    ),
    "GET /organizations/{organization_id}/invitations": listed("invitations", r.INVITATION),
    # administration
    "GET /admin/users/{user_id}/export": _EXPORT,
    "GET /admin/two-factor-resets": listed("resets", r.ADMINISTERED_RESET),
    "GET /admin/audit": plain(audit=each(r.AUDIT_RECORD), total=r.COUNT, nextCursor=optional(r.COUNT)),
    # webhooks
    "POST /admin/webhooks": _CREATED_WEBHOOK,
    "GET /admin/webhooks": _WEBHOOKS,
    "GET /admin/webhooks/{webhook_id}": _WEBHOOK,
    "PATCH /admin/webhooks/{webhook_id}": _WEBHOOK,
    "POST /admin/webhooks/{webhook_id}/secret": _WEBHOOK_SECRET,
    "POST /admin/webhooks/{webhook_id}/test": _WEBHOOK_DELIVERY,
    "GET /admin/webhooks/{webhook_id}/deliveries": _WEBHOOK_DELIVERIES,
    "POST /admin/webhooks/{webhook_id}/replay": _STATUS,
    "POST /organizations/{organization_id}/webhooks": _CREATED_WEBHOOK,
    "GET /organizations/{organization_id}/webhooks": _WEBHOOKS,
    "GET /organizations/{organization_id}/webhooks/{webhook_id}": _WEBHOOK,
    "PATCH /organizations/{organization_id}/webhooks/{webhook_id}": _WEBHOOK,
    "POST /organizations/{organization_id}/webhooks/{webhook_id}/secret": _WEBHOOK_SECRET,
    "POST /organizations/{organization_id}/webhooks/{webhook_id}/test": _WEBHOOK_DELIVERY,
    "GET /organizations/{organization_id}/webhooks/{webhook_id}/deliveries": _WEBHOOK_DELIVERIES,
    "POST /organizations/{organization_id}/webhooks/{webhook_id}/replay": _STATUS,
    # better-auth: accounts
    "POST /sign-up/email": {
        "anyOf": [r.SIGNED_IN, r.SECOND_FACTOR_REQUIRED, plain(token=r.NULL, user=r.USER)]
    },
    "POST /sign-in/email": _ENTERED,
    "GET /get-session": optional(plain(session=r.CLIENT_SESSION, user=r.USER)),
    "GET /list-sessions": each(r.CLIENT_SESSION),
    "POST /revoke-session": _STATUS,
    "POST /revoke-sessions": _STATUS,
    "POST /revoke-other-sessions": _STATUS,
    "POST /update-user": _STATUS,
    # better-auth: API keys
    "POST /api-key/delete": plain(success=r.TRUE),
    # better-auth: organizations
    "POST /organization/create": r.record(
        "FoundedOrganization",
        **r.components["ClientOrganization"]["properties"],
        members=each(r.MEMBER),
    ),
    "POST /organization/check-slug": _STATUS,
    "GET /organization/list": each(r.CLIENT_ORGANIZATION),
    "GET /organization/get-organization": optional(r.CLIENT_ORGANIZATION),
    "GET /organization/get-full-organization": optional(
        r.record(
            "FullOrganization",
            **r.components["ClientOrganization"]["properties"],
            members=each(r.MEMBER),
            invitations=each(r.INVITATION),
        )
    ),
    "POST /organization/set-active": optional(r.CLIENT_ORGANIZATION),
    "POST /organization/update": r.CLIENT_ORGANIZATION,
    "POST /organization/delete": r.CLIENT_ORGANIZATION,
    "POST /organization/has-permission": plain(error=r.NULL, success=r.FLAG),
    "GET /organization/list-members": listed("members", r.MEMBER),
    "GET /organization/get-active-member": r.MEMBER,
    "GET /organization/get-active-member-role": plain(role=r.ROLE),
    "POST /organization/update-member-role": r.MEMBER,
    "POST /organization/remove-member": plain(member=r.MEMBER),
    "POST /organization/leave": r.MEMBER,
    "POST /organization/invite-member": r.INVITATION,
    "GET /organization/get-invitation": r.RECEIVED_INVITATION,
    "GET /organization/list-invitations": each(r.INVITATION),
    "GET /organization/list-user-invitations": each(r.RECEIVED_INVITATION),
    "POST /organization/accept-invitation": plain(invitation=r.INVITATION, member=r.MEMBER),
    "POST /organization/reject-invitation": plain(invitation=r.INVITATION, member=r.NULL),
    "POST /organization/cancel-invitation": r.INVITATION,
}
"""Schemas by method and path. Answers with status 204 have no body and are not here."""

OPENS_SESSION: Final = frozenset(
    {
        "POST /sign-up/email",
        "POST /sign-in/email",
        "POST /{actor}/sign-in/email",
        "POST /switch-actor",
        "POST /change-password",
        "POST /two-factor/verify",
        "POST /two-factor/verify-passkey",
        "POST /passkey/verify-authentication",
        "POST /passkey/verify-registration",
        "POST /two-factor/verify-totp",
        "POST /two-factor/verify-backup-code",
    }
)
"""Routes that may hand out a session token in the ``set-auth-token`` header."""
