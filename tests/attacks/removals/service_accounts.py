"""Changes to a service account and its keys."""

from __future__ import annotations

from typing import Final

from tests.attacks.removable import Removable
from tests.attacks.removals.change import Change, Kinds

KINDS: Final = Kinds()


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


@KINDS.add("service account disabled")
async def _account_disabled(made: Removable) -> Change:
    return await _account_changed(made, {"enabled": False})


@KINDS.add("service account's scopes narrowed")
async def _account_narrowed(made: Removable) -> Change:
    return await _account_changed(made, {"scopes": ["orders:read"]}, "/?scope=orders:write")


@KINDS.add("service account deleted")
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


@KINDS.add("service account's key disabled")
async def _account_key_disabled(made: Removable) -> Change:
    return await _account_key_changed(made, "PATCH", {"enabled": False})


@KINDS.add("service account's key narrowed")
async def _account_key_narrowed(made: Removable) -> Change:
    body = {"scopes": ["orders:read"]}
    return await _account_key_changed(made, "PATCH", body, path="/?scope=orders:write")


@KINDS.add("service account's key revoked")
async def _account_key_revoked(made: Removable) -> Change:
    return await _account_key_changed(made, "DELETE", None, status=204)


@KINDS.add("service account's key rotated")
async def _account_key_rotated(made: Removable) -> Change:
    return await _account_key_changed(made, "POST", {"overlapSeconds": 0}, status=201, more="/rotate")
