"""
Every kind of change that takes a right away, as the request that makes it and the credentials that it ends.

What is not here, and why: the last factor that an actor type or an organization demands cannot be removed by its user,
so no key depends on one that they remove; a trusted browser is read from the database at each sign-in and cached
nowhere; a shorter lifetime of an organization's keys, and the end of unused ones, takes a day or more; the command
line and better-auth's routes run the same flows.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from czo_auth import Auth
from czo_auth.core.organizations.two_factor import Exemption
from czo_auth.core.text import iso_timestamp
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.security_notices import issue_security_notice_token
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens
from czo_auth.testing import AuthenticatorApp
from tests.attacks.removable import PASSWORD, Credential, Removable
from tests.support.authenticator import Authenticator
from tests.support.records import HOUR

Body = object | Callable[[], object]

ENDS_AFTER: Final = timedelta(milliseconds=1500)
"""The new end of a key whose end is moved: one in the past is refused."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """
    One request that takes something away.

    Attributes:
        body: What is sent, or a function that returns it when it is sent.
        takes: What it ends.
        status: Of the answer.
        delay: Seconds after which the change takes effect.
    """

    method: str
    path: str
    bearer: str
    takes: Sequence[Credential]
    body: Body = None
    status: int = 200
    delay: float = 0.0
    kind: str = ""

    def content(self) -> object:
        """Return the body to send now."""
        return self.body() if callable(self.body) else self.body


Maker = Callable[[Removable], Awaitable[Change]]
_KINDS: Final[dict[str, Maker]] = {}


def _kind(name: str) -> Callable[[Maker], Maker]:
    def register(make: Maker) -> Maker:
        _KINDS[name] = make
        return make

    return register


async def changes_on(auth: Auth, each: int) -> list[Change]:
    """Make *each* changes of every kind on the database of *auth*, which is open, in random order."""
    removable = await Removable.on(auth)
    changes = [
        replace(await make(removable), kind=name) for name, make in _KINDS.items() for _ in range(each)
    ]
    random.shuffle(changes)
    for number, change in enumerate(changes):
        for position, credential in enumerate(change.takes):
            credential.kind, credential.name = change.kind, f"{change.kind} {number}.{position}"
    return changes


# A key, by its owner


@_kind("key revoked")
async def _key_revoked(made: Removable) -> Change:
    user = await made.user()
    key = await made.key(user)
    owner = await made.session(user)
    path = f"/api-keys/{key.row.id}"
    return Change(method="DELETE", path=path, bearer=owner.token, status=204, takes=key.credentials)


async def _key_changed(
    made: Removable, body: Body, path: str = "/", *, delay: float = 0, **key: Any
) -> Change:
    user = await made.user()
    changed = await made.key(user, path, **key)
    owner = await made.session(user)
    return Change(
        method="PATCH",
        path=f"/api-keys/{changed.row.id}",
        bearer=owner.token,
        body=body,
        takes=changed.credentials,
        delay=delay,
    )


@_kind("key disabled")
async def _key_disabled(made: Removable) -> Change:
    return await _key_changed(made, {"enabled": False})


@_kind("key's scopes narrowed")
async def _key_narrowed(made: Removable) -> Change:
    return await _key_changed(made, {"scopes": ["orders:read"]}, "/?scope=orders:write")


@_kind("key's addresses narrowed")
async def _addresses_narrowed(made: Removable) -> Change:
    return await _key_changed(
        made, {"allowedIps": ["192.0.2.0/24"]}, allowed_ips=("127.0.0.0/8", "192.0.2.0/24")
    )


@_kind("key bound to addresses")
async def _addresses_set(made: Removable) -> Change:
    return await _key_changed(made, {"allowedIps": ["192.0.2.0/24"]})


@_kind("key's end moved earlier")
async def _end_moved(made: Removable) -> Change:
    def body() -> object:
        return {"expiresAt": iso_timestamp(made.auth.now() + ENDS_AFTER)}

    # A little more, because the two clocks are read one after the other.
    delay = ENDS_AFTER.total_seconds() + 0.1
    return await _key_changed(made, body, delay=delay, expires_at=made.auth.now() + timedelta(days=30))


@_kind("key's rate limit tightened")
async def _rate_tightened(made: Removable) -> Change:
    change = await _key_changed(
        made, {"rateLimitMax": 1}, rate_limit_max=100_000, rate_limit_window_seconds=86_400
    )
    return _sparing_one(change)


@_kind("key's rate limit set")
async def _rate_set(made: Removable) -> Change:
    body = {"rateLimitEnabled": True, "rateLimitMax": 1, "rateLimitTimeWindow": 86_400_000}
    return _sparing_one(await _key_changed(made, body))


@_kind("key's quota lowered")
async def _quota_lowered(made: Removable) -> Change:
    return await _key_changed(made, {"quotaMax": 1, "quotaPeriod": "month"}, **_quota(100_000, "month"))


@_kind("key's quota made to last longer")
async def _quota_lasts_longer(made: Removable) -> Change:
    return await _key_changed(made, {"quotaMax": 1, "quotaPeriod": "month"}, **_quota(100_000, "day"))


@_kind("key's quota set")
async def _quota_set(made: Removable) -> Change:
    return _sparing_one(await _key_changed(made, {"quotaMax": 1, "quotaPeriod": "month"}))


def _quota(maximum: int, period: str) -> dict[str, Any]:
    return {"quota_max": maximum, "quota_period": period, "quota_id": tokens.new_token(tokens.MAIL)[-32:]}


def _sparing_one(change: Change) -> Change:
    for credential in change.takes:
        credential.spared = 1
    return change


@_kind("key rotated")
async def _key_rotated(made: Removable) -> Change:
    user = await made.user()
    key = await made.key(user)
    return Change(
        method="POST",
        path=f"/api-keys/{key.row.id}/rotate",
        bearer=(await made.session(user)).token,
        body={"overlapSeconds": 0},
        status=201,
        takes=key.credentials,
    )


@_kind("key reported as leaked")
async def _key_leaked(made: Removable) -> Change:
    key = await made.key(await made.user())
    path = "/api-keys/report-leak"
    return Change(method="POST", path=path, bearer="", body={"key": key.text}, takes=key.credentials)


@_kind("key revoked by an administrator")
async def _key_revoked_by_admin(made: Removable) -> Change:
    key = await made.key(await made.user())
    return Change(
        method="DELETE",
        path=f"/admin/api-keys/{key.row.id}",
        bearer=await made.administrator(),
        status=204,
        takes=key.credentials,
    )


# The owner


@_kind("owner banned")
async def _owner_banned(made: Removable) -> Change:
    user = await made.user()
    key, session = await made.key(user), await made.session(user)
    return Change(
        method="POST",
        path=f"/admin/users/{user.id}/ban",
        bearer=await made.administrator(),
        body={"reason": "x"},
        takes=[*key.credentials, *session.credentials],
    )


@_kind("owner deleted by an administrator")
async def _owner_deleted(made: Removable) -> Change:
    user = await made.user()
    key, session = await made.key(user), await made.session(user)
    return Change(
        method="DELETE",
        path=f"/admin/users/{user.id}",
        bearer=await made.administrator(),
        body={"reason": "x"},
        status=204,
        takes=[*key.credentials, *session.credentials],
    )


@_kind("own account deleted")
async def _account_deleted(made: Removable) -> Change:
    user = await made.user()
    key, session, other = await made.key(user), await made.session(user), await made.session(user)
    takes = [*key.credentials, *session.credentials, *other.credentials]
    return Change(method="POST", path="/delete-user", bearer=session.token, body={}, takes=takes)


@_kind("unconfirmed account rejected")
async def _account_rejected(made: Removable) -> Change:
    user = await made.user()
    key, session = await made.key(user), await made.session(user)
    return Change(
        method="POST",
        path="/reject-verification",
        bearer="",
        body={"token": await made.mailed_token(user, "verify_email")},
        takes=[*key.credentials, *session.credentials],
    )


@_kind("actor type taken away")
async def _actor_type_taken(made: Removable) -> Change:
    user = await made.user("merchant")
    key = await made.key(user, "/?actor=merchant", actor_type="merchant")
    session = await made.session(user, actor_type="merchant")
    return Change(
        method="POST",
        path=f"/admin/users/{user.id}/actor-types",
        bearer=await made.administrator(),
        body={"remove": ["merchant"]},
        takes=[*key.credentials, *session.credentials],
    )


@_kind("actor type given that demands a factor")
async def _demanding_type_given(made: Removable) -> Change:
    user = await made.user()
    key, session = await made.key(user), await made.session(user)
    return Change(
        method="POST",
        path=f"/admin/users/{user.id}/actor-types",
        bearer=await made.administrator(),
        body={"add": ["admin"]},
        takes=[*key.credentials, *session.credentials],
    )


# Second factors


@_kind("admin lost 2FA")
async def _app_reset(made: Removable) -> Change:
    user = await made.user_with_app("admin")
    return await _factors_reset(made, user)


@_kind("admin lost the passkey")
async def _passkey_reset(made: Removable) -> Change:
    user = await made.user("admin", passkeys_enabled_at=made.auth.now())
    await made.rows.passkey(user)
    return await _factors_reset(made, user)


async def _factors_reset(made: Removable, user: User) -> Change:
    key, session = await made.key(user), await made.session(user, actor_type="admin")
    return Change(
        method="DELETE",
        path=f"/admin/users/{user.id}/two-factor",
        bearer=await made.administrator(),
        body={"reason": "lost everything"},
        status=204,
        takes=[*key.credentials, *session.credentials],
    )


@_kind("two factors turned off")
async def _app_removed(made: Removable) -> Change:
    user = await made.user_with_app()
    own, other = await made.session(user, "/?aal=2"), await made.session(user)
    takes = [*own.credentials, *other.credentials]
    return Change(method="POST", path="/two-factor/disable", bearer=own.token, body={}, takes=takes)


@_kind("last passkey removed")
async def _passkey_removed(made: Removable) -> Change:
    user = await made.user(passkeys_enabled_at=made.auth.now())
    passkey = await made.rows.passkey(user)
    own, other = await made.session(user, "/?aal=2"), await made.session(user)
    return Change(
        method="POST",
        path="/passkey/delete-passkey",
        bearer=own.token,
        body={"id": passkey.id},
        takes=[*own.credentials, *other.credentials],
    )


@_kind("authenticator app added")
async def _app_added(made: Removable) -> Change:
    return await _app_enrolled(made, await made.user(), replaces=False)


@_kind("authenticator app replaced")
async def _app_replaced(made: Removable) -> Change:
    user = await made.user_with_app(renew_by=made.auth.now() + timedelta(days=30))
    return await _app_enrolled(made, user, replaces=True)


async def _app_enrolled(made: Removable, user: User, *, replaces: bool) -> Change:
    own, other = await made.session(user), await made.session(user)
    auth = made.auth
    principal = await auth.authenticate.session_token(own.token, now=auth.now())
    shown = await auth.enable_two_factor.begin(
        password=None, code=None, replace=replaces, issuer=None, context=made.context.of(principal)
    )
    return Change(
        method="POST",
        path="/two-factor/verify",
        bearer=own.token,
        body=lambda: {"code": AuthenticatorApp(shown.secret, auth.now).code()},
        takes=[*own.credentials, *other.credentials],
    )


@_kind("passkey added that turns two factors on")
async def _passkey_added(made: Removable) -> Change:
    user = await made.user()
    own, other = await made.session(user), await made.session(user)
    auth = made.auth
    principal = await auth.authenticate.session_token(own.token, now=auth.now())
    options = await auth.register_passkey.options(
        label=None, attachment=None, context=made.context.of(principal)
    )
    created = Authenticator(auth.settings.public_url).create(options)
    return Change(
        method="POST",
        path="/passkey/verify-registration",
        bearer=own.token,
        body={"response": created, "ceremony": options["ceremony"], "enableTwoFactor": True},
        takes=[*own.credentials, *other.credentials],
    )


# Organizations


@_kind("member removed")
async def _member_removed(made: Removable) -> Change:
    member = await made.user()
    acme, owner = await made.organization(member, "admin")
    key = await made.key(member, organization_id=acme.id)
    session = await made.session(member, f"/?organization={acme.id}", organization_id=acme.id)
    return Change(
        method="DELETE",
        path=f"/organizations/{acme.id}/members/{member.id}",
        bearer=owner,
        body={"confirm": True},
        status=204,
        takes=[*key.credentials, *session.credentials],
    )


@_kind("member's role lowered")
async def _role_lowered(made: Removable) -> Change:
    member = await made.user()
    acme, owner = await made.organization(member, "admin")
    key = await made.key(member, "/?role=admin", organization_id=acme.id)
    session = await made.session(member, "/?role=admin", organization_id=acme.id)
    return Change(
        method="PATCH",
        path=f"/organizations/{acme.id}/members/{member.id}",
        bearer=owner,
        body={"role": "viewer"},
        takes=[*key.credentials, *session.credentials],
    )


@_kind("member's key revoked in the organization")
async def _member_key_revoked(made: Removable) -> Change:
    member = await made.user()
    acme, owner = await made.organization(member)
    key = await made.key(member, organization_id=acme.id)
    path = f"/organizations/{acme.id}/api-keys/{key.row.id}"
    return Change(method="DELETE", path=path, bearer=owner, status=204, takes=key.credentials)


@_kind("member's key transferred")
async def _key_transferred(made: Removable) -> Change:
    member = await made.user()
    acme, owner = await made.organization(member)
    account = await made.rows.service_account(acme)
    key = await made.key(member, organization_id=acme.id)
    return Change(
        method="POST",
        path=f"/organizations/{acme.id}/api-keys/{key.row.id}/transfer",
        bearer=owner,
        body={"serviceAccountId": account.id},
        status=201,
        takes=key.credentials,
    )


@_kind("organization deleted")
async def _organization_deleted(made: Removable) -> Change:
    member = await made.user()
    acme, owner = await made.organization(member)
    key = await made.key(member, organization_id=acme.id)
    account_key = await made.key(await made.rows.service_account(acme))
    session = await made.session(member, f"/?organization={acme.id}", organization_id=acme.id)
    takes = [*key.credentials, *account_key.credentials, *session.credentials]
    return Change(method="DELETE", path=f"/organizations/{acme.id}", bearer=owner, status=204, takes=takes)


@_kind("organization demands two factors")
async def _factors_demanded(made: Removable) -> Change:
    member = await made.user()
    acme, owner = await made.organization(member)
    key = await made.key(member, organization_id=acme.id)
    session = await made.session(member, organization_id=acme.id)
    yesterday = iso_timestamp(made.auth.now() - timedelta(days=1))
    return Change(
        method="PATCH",
        path=f"/organizations/{acme.id}",
        bearer=owner,
        body={"requireTwoFactorFrom": yesterday, "twoFactorGraceDays": 0},
        takes=[*key.credentials, *session.credentials],
    )


@_kind("exemption from two factors ended")
async def _exemption_ended(made: Removable) -> Change:
    now, member = made.auth.now(), await made.user()
    acme, owner = await made.organization(member)
    exemption = Exemption(
        organization_id=acme.id,
        user_id=member.id,
        since=now - HOUR,
        until=now + timedelta(days=7),
        reason="x",
        by=member.id,
    )

    def exempt(tx: Transaction) -> None:
        tx.organizations.update(
            replace(acme, require_two_factor_from=now - timedelta(days=1), two_factor_grace_days=0)
        )
        tx.factor_rules.put_exemption(exemption, joined_at=now - timedelta(days=30))
        tx.factor_rules.apply(acme.id)

    await made.rows.run(exempt, made.context)
    key = await made.key(member, organization_id=acme.id)
    session = await made.session(member, organization_id=acme.id)
    return Change(
        method="DELETE",
        path=f"/organizations/{acme.id}/members/{member.id}/two-factor-exemption",
        bearer=owner,
        body={},
        status=204,
        takes=[*key.credentials, *session.credentials],
    )


@_kind("organization of a session cleared")
async def _organization_left(made: Removable) -> Change:
    member = await made.user()
    acme, _ = await made.organization(member)
    session = await made.session(member, f"/?organization={acme.id}", organization_id=acme.id)
    return Change(
        method="POST",
        path="/organizations/deactivate",
        bearer=session.token,
        status=204,
        takes=session.credentials,
    )


@_kind("organization of a session changed")
async def _organization_changed(made: Removable) -> Change:
    member = await made.user()
    acme, _ = await made.organization(member)
    other, _ = await made.organization(member)
    session = await made.session(member, f"/?organization={acme.id}", organization_id=acme.id)
    path = f"/organizations/{other.id}/activate"
    return Change(method="POST", path=path, bearer=session.token, takes=session.credentials)


# Service accounts


async def _account_changed(made: Removable, body: object, path: str = "/") -> Change:
    account, admin = await made.service_account()
    key = await made.key(account, path)
    return Change(
        method="PATCH",
        path=f"/organizations/{account.organization_id}/service-accounts/{account.id}",
        bearer=admin,
        body=body,
        takes=key.credentials,
    )


@_kind("service account disabled")
async def _account_disabled(made: Removable) -> Change:
    return await _account_changed(made, {"enabled": False})


@_kind("service account's scopes narrowed")
async def _account_narrowed(made: Removable) -> Change:
    return await _account_changed(made, {"scopes": ["orders:read"]}, "/?scope=orders:write")


@_kind("service account deleted")
async def _account_removed(made: Removable) -> Change:
    account, admin = await made.service_account()
    key = await made.key(account)
    path = f"/organizations/{account.organization_id}/service-accounts/{account.id}"
    return Change(method="DELETE", path=path, bearer=admin, status=204, takes=key.credentials)


async def _account_key_changed(
    made: Removable, method: str, body: object, *, status: int = 200, path: str = "/", more: str = ""
) -> Change:
    account, admin = await made.service_account()
    key = await made.key(account, path)
    return Change(
        method=method,
        path=f"/organizations/{account.organization_id}/api-keys/{key.row.id}{more}",
        bearer=admin,
        body=body,
        status=status,
        takes=key.credentials,
    )


@_kind("service account's key disabled")
async def _account_key_disabled(made: Removable) -> Change:
    return await _account_key_changed(made, "PATCH", {"enabled": False})


@_kind("service account's key narrowed")
async def _account_key_narrowed(made: Removable) -> Change:
    body = {"scopes": ["orders:read"]}
    return await _account_key_changed(made, "PATCH", body, path="/?scope=orders:write")


@_kind("service account's key revoked")
async def _account_key_revoked(made: Removable) -> Change:
    return await _account_key_changed(made, "DELETE", None, status=204)


@_kind("service account's key rotated")
async def _account_key_rotated(made: Removable) -> Change:
    return await _account_key_changed(made, "POST", {"overlapSeconds": 0}, status=201, more="/rotate")


# Sessions


@_kind("session revoked")
async def _session_revoked(made: Removable) -> Change:
    user = await made.user()
    own, other = await made.session(user), await made.session(user)
    path = f"/sessions/{other.session.id}"
    return Change(method="DELETE", path=path, bearer=own.token, status=204, takes=other.credentials)


@_kind("other sessions revoked")
async def _other_sessions_revoked(made: Removable) -> Change:
    user = await made.user()
    own, other, third = [await made.session(user) for _ in range(3)]
    takes = [*other.credentials, *third.credentials]
    return Change(method="DELETE", path="/sessions", bearer=own.token, status=204, takes=takes)


@_kind("signed out")
async def _signed_out(made: Removable) -> Change:
    session = await made.session(await made.user())
    return Change(method="POST", path="/sign-out", bearer=session.token, body={}, takes=session.credentials)


@_kind("actor type switched")
async def _actor_type_switched(made: Removable) -> Change:
    session = await made.session(await made.user("merchant"))
    return Change(
        method="POST",
        path="/switch-actor",
        bearer=session.token,
        body={"actorType": "merchant"},
        takes=session.credentials,
    )


@_kind("session ended by an administrator")
async def _session_ended_by_admin(made: Removable) -> Change:
    session = await made.session(await made.user())
    return Change(
        method="DELETE",
        path=f"/admin/sessions/{session.session.id}",
        bearer=await made.administrator(),
        status=204,
        takes=session.credentials,
    )


@_kind("all sessions ended by an administrator")
async def _sessions_ended_by_admin(made: Removable) -> Change:
    user = await made.user()
    one, other = await made.session(user), await made.session(user)
    return Change(
        method="DELETE",
        path=f"/admin/users/{user.id}/sessions",
        bearer=await made.administrator(),
        status=204,
        takes=[*one.credentials, *other.credentials],
    )


@_kind("refresh token reused")
async def _refresh_token_reused(made: Removable) -> Change:
    session = await made.session(await made.user())
    text = tokens.new_token(tokens.REFRESH)
    token_id = await made.rows.refresh_token(session.session, digest=tokens.digest(text))
    an_hour_ago = made.auth.now() - HOUR
    await made.rows.run(lambda tx: tx.sessions.replace_refresh_token(token_id, now=an_hour_ago))
    return Change(
        method="POST",
        path="/token/refresh",
        bearer="",
        body={"refreshToken": text},
        status=401,
        takes=session.credentials,
    )


@_kind("password changed")
async def _password_changed(made: Removable) -> Change:
    user = await made.user_with_password()
    own, other = await made.session(user), await made.session(user)
    return Change(
        method="POST",
        path="/change-password",
        bearer=own.token,
        body={"currentPassword": PASSWORD, "newPassword": "another battery staple"},
        takes=[*own.credentials, *other.credentials],
    )


@_kind("password reset")
async def _password_reset(made: Removable) -> Change:
    user = await made.user_with_password()
    session = await made.session(user)
    token = await made.mailed_token(user, "reset_password")
    return Change(
        method="POST",
        path="/reset-password",
        bearer="",
        body={"token": token, "newPassword": "another battery staple"},
        takes=session.credentials,
    )


@_kind("account secured")
async def _account_secured(made: Removable) -> Change:
    user = await made.user_with_password()
    session = await made.session(user)
    token = issue_security_notice_token(made.auth.services.key_ring, user, now=made.auth.now())
    return Change(
        method="POST", path="/secure-account", bearer="", body={"token": token}, takes=session.credentials
    )


KINDS: Final = tuple(_KINDS)
