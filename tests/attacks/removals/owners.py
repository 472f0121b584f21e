"""Changes to the owner of keys and sessions."""

from __future__ import annotations

from typing import Final

from tests.attacks.removable import Removable
from tests.attacks.removals.change import Change, Kinds, by_administrator

KINDS: Final = Kinds()


@KINDS.add("owner banned")
async def _owner_banned(made: Removable) -> Change:
    user = await made.user()
    key, session = await made.key(user), await made.session(user)
    return await by_administrator(
        made, "POST", f"/admin/users/{user.id}/ban", key, session, body={"reason": "x"}
    )


@KINDS.add("owner deleted by an administrator")
async def _owner_deleted(made: Removable) -> Change:
    user = await made.user()
    key, session = await made.key(user), await made.session(user)
    return await by_administrator(
        made, "DELETE", f"/admin/users/{user.id}", key, session, body={"reason": "x"}, status=204
    )


@KINDS.add("own account deleted")
async def _account_deleted(made: Removable) -> Change:
    user = await made.user()
    key, session, other = await made.key(user), await made.session(user), await made.session(user)
    takes = [*key.credentials, *session.credentials, *other.credentials]
    return Change(method="POST", path="/delete-user", bearer=session.token, body={}, takes=takes)


@KINDS.add("unconfirmed account rejected")
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


@KINDS.add("actor type taken away")
async def _actor_type_taken(made: Removable) -> Change:
    user = await made.user("merchant")
    key = await made.key(user, "/?actor=merchant", actor_type="merchant")
    session = await made.session(user, actor_type="merchant")
    return await by_administrator(
        made, "POST", f"/admin/users/{user.id}/actor-types", key, session, body={"remove": ["merchant"]}
    )


@KINDS.add("actor type given that demands a factor")
async def _demanding_type_given(made: Removable) -> Change:
    user = await made.user()
    key, session = await made.key(user), await made.session(user)
    return await by_administrator(
        made, "POST", f"/admin/users/{user.id}/actor-types", key, session, body={"add": ["admin"]}
    )
