"""Changes that take an API key from a user."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from czo_auth.core.text import iso_timestamp
from czo_auth.crypto import tokens
from tests.attacks.removable import Removable
from tests.attacks.removals.change import Body, Change, Kinds, by_administrator

KINDS: Final = Kinds()
ENDS_AFTER: Final = timedelta(milliseconds=1500)
"""The new end of a key whose end is moved: one in the past is refused."""


@KINDS.add("key revoked")
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


@KINDS.add("key disabled")
async def _key_disabled(made: Removable) -> Change:
    return await _key_changed(made, {"enabled": False})


@KINDS.add("key's scopes narrowed")
async def _key_narrowed(made: Removable) -> Change:
    return await _key_changed(made, {"scopes": ["orders:read"]}, "/?scope=orders:write")


@KINDS.add("key's addresses narrowed")
async def _addresses_narrowed(made: Removable) -> Change:
    return await _key_changed(
        made, {"allowedIps": ["192.0.2.0/24"]}, allowed_ips=("127.0.0.0/8", "192.0.2.0/24")
    )


@KINDS.add("key bound to addresses")
async def _addresses_set(made: Removable) -> Change:
    return await _key_changed(made, {"allowedIps": ["192.0.2.0/24"]})


@KINDS.add("key's end moved earlier")
async def _end_moved(made: Removable) -> Change:
    def body() -> object:
        return {"expiresAt": iso_timestamp(made.auth.now() + ENDS_AFTER)}

    # A little more, because the two clocks are read one after the other.
    delay = ENDS_AFTER.total_seconds() + 0.1
    return await _key_changed(made, body, delay=delay, expires_at=made.auth.now() + timedelta(days=30))


@KINDS.add("key's rate limit tightened")
async def _rate_tightened(made: Removable) -> Change:
    change = await _key_changed(
        made, {"rateLimitMax": 1}, rate_limit_max=100_000, rate_limit_window_seconds=86_400
    )
    return _sparing_one(change)


@KINDS.add("key's rate limit set")
async def _rate_set(made: Removable) -> Change:
    body = {"rateLimitEnabled": True, "rateLimitMax": 1, "rateLimitTimeWindow": 86_400_000}
    return _sparing_one(await _key_changed(made, body))


@KINDS.add("key's quota lowered")
async def _quota_lowered(made: Removable) -> Change:
    return await _key_changed(made, {"quotaMax": 1, "quotaPeriod": "month"}, **_quota(100_000, "month"))


@KINDS.add("key's quota made to last longer")
async def _quota_lasts_longer(made: Removable) -> Change:
    return await _key_changed(made, {"quotaMax": 1, "quotaPeriod": "month"}, **_quota(100_000, "day"))


@KINDS.add("key's quota set")
async def _quota_set(made: Removable) -> Change:
    return _sparing_one(await _key_changed(made, {"quotaMax": 1, "quotaPeriod": "month"}))


def _quota(maximum: int, period: str) -> dict[str, Any]:
    return {"quota_max": maximum, "quota_period": period, "quota_id": tokens.new_token(tokens.MAIL)[-32:]}


def _sparing_one(change: Change) -> Change:
    for credential in change.takes:
        credential.spared = 1
    return change


@KINDS.add("key rotated")
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


@KINDS.add("key reported as leaked")
async def _key_leaked(made: Removable) -> Change:
    key = await made.key(await made.user())
    path = "/api-keys/report-leak"
    return Change(method="POST", path=path, bearer="", body={"key": key.text}, takes=key.credentials)


@KINDS.add("key revoked by an administrator")
async def _key_revoked_by_admin(made: Removable) -> Change:
    key = await made.key(await made.user())
    return await by_administrator(made, "DELETE", f"/admin/api-keys/{key.row.id}", key, status=204)
