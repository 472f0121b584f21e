"""Changes of an account that end a challenge or the trust in a browser."""

from __future__ import annotations

from tests.contract.checks import accepted
from tests.contract.conftest import Live
from tests.contract.people import Account, Session


async def change_password(live: Live, _: Session, account: Account, session: Session) -> None:
    body = {"currentPassword": account.password, "newPassword": "another battery staple"}
    accepted(await live.api.post("/change-password", body, bearer=session.token))


async def revoke_others(live: Live, _: Session, __: Account, session: Session) -> None:
    accepted(await live.api.delete("/sessions", bearer=session.token), 204)


async def ban(live: Live, root: Session, account: Account, _: Session) -> None:
    body = {"reason": "stolen"}
    accepted(await live.api.post(f"/admin/users/{account.id}/ban", body, bearer=root.token))


async def ban_and_unban(live: Live, root: Session, account: Account, session: Session) -> None:
    await ban(live, root, account, session)
    accepted(await live.api.post(f"/admin/users/{account.id}/unban", bearer=root.token))


async def reset_two_factor(live: Live, root: Session, account: Account, _: Session) -> None:
    path = f"/admin/users/{account.id}/two-factor"
    accepted(await live.api.delete(path, {"reason": "lost"}, bearer=root.token), 204)


async def disable(live: Live, _: Session, account: Account, session: Session) -> None:
    body = {"password": account.password}
    accepted(await live.api.post("/two-factor/disable", body, bearer=session.token))


async def replace_the_phone(live: Live, _: Session, account: Account, session: Session) -> None:
    await live.people.enable(account, session, replace=True)
    Session.of(await live.people.verify(account.has.code(), bearer=session.token))
