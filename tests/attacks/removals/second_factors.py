"""Changes to the second factors of a user."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from czo_auth.core.users.user import User
from czo_auth.testing import AuthenticatorApp
from tests.attacks.removable import Removable
from tests.attacks.removals.change import Change, Kinds, by_administrator
from tests.support.authenticator import Authenticator

KINDS: Final = Kinds()


@KINDS.add("admin lost 2FA")
async def _app_reset(made: Removable) -> Change:
    user = await made.user_with_app("admin")
    return await _factors_reset(made, user)


@KINDS.add("admin lost the passkey")
async def _passkey_reset(made: Removable) -> Change:
    user = await made.user("admin", passkeys_enabled_at=made.auth.now())
    await made.rows.passkey(user)
    return await _factors_reset(made, user)


async def _factors_reset(made: Removable, user: User) -> Change:
    key, session = await made.key(user), await made.session(user, actor_type="admin")
    return await by_administrator(
        made,
        "DELETE",
        f"/admin/users/{user.id}/two-factor",
        key,
        session,
        body={"reason": "lost everything"},
        status=204,
    )


@KINDS.add("two factors turned off")
async def _app_removed(made: Removable) -> Change:
    user = await made.user_with_app()
    own, other = await made.session(user, "/?aal=2"), await made.session(user)
    takes = [*own.credentials, *other.credentials]
    return Change(method="POST", path="/two-factor/disable", bearer=own.token, body={}, takes=takes)


@KINDS.add("last passkey removed")
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


@KINDS.add("authenticator app added")
async def _app_added(made: Removable) -> Change:
    return await _app_enrolled(made, await made.user(), replaces=False)


@KINDS.add("authenticator app replaced")
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


@KINDS.add("passkey added that turns two factors on")
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
