"""Changes that end sessions, or a right of one."""

from __future__ import annotations

from typing import Final

from czo_auth.core.users.security_notices import issue_security_notice_token
from czo_auth.crypto import tokens
from tests.attacks.removable import PASSWORD, Removable
from tests.attacks.removals.change import Change, Kinds, by_administrator
from tests.support.records import HOUR

KINDS: Final = Kinds()


@KINDS.add("session revoked")
async def _session_revoked(made: Removable) -> Change:
    user = await made.user()
    own, other = await made.session(user), await made.session(user)
    path = f"/sessions/{other.session.id}"
    return Change(method="DELETE", path=path, bearer=own.token, status=204, takes=other.credentials)


@KINDS.add("other sessions revoked")
async def _other_sessions_revoked(made: Removable) -> Change:
    user = await made.user()
    own, other, third = [await made.session(user) for _ in range(3)]
    takes = [*other.credentials, *third.credentials]
    return Change(method="DELETE", path="/sessions", bearer=own.token, status=204, takes=takes)


@KINDS.add("signed out")
async def _signed_out(made: Removable) -> Change:
    session = await made.session(await made.user())
    return Change(method="POST", path="/sign-out", bearer=session.token, body={}, takes=session.credentials)


@KINDS.add("actor type switched")
async def _actor_type_switched(made: Removable) -> Change:
    session = await made.session(await made.user("merchant"))
    return Change(
        method="POST",
        path="/switch-actor",
        bearer=session.token,
        body={"actorType": "merchant"},
        takes=session.credentials,
    )


@KINDS.add("session ended by an administrator")
async def _session_ended_by_admin(made: Removable) -> Change:
    session = await made.session(await made.user())
    return await by_administrator(
        made, "DELETE", f"/admin/sessions/{session.session.id}", session, status=204
    )


@KINDS.add("all sessions ended by an administrator")
async def _sessions_ended_by_admin(made: Removable) -> Change:
    user = await made.user()
    one, other = await made.session(user), await made.session(user)
    return await by_administrator(made, "DELETE", f"/admin/users/{user.id}/sessions", one, other, status=204)


@KINDS.add("refresh token reused")
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


@KINDS.add("password changed")
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


@KINDS.add("password reset")
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


@KINDS.add("account secured")
async def _account_secured(made: Removable) -> Change:
    user = await made.user_with_password()
    session = await made.session(user)
    token = issue_security_notice_token(made.auth.services.key_ring, user, now=made.auth.now())
    return Change(
        method="POST", path="/secure-account", bearer="", body={"token": token}, takes=session.credentials
    )
