"""Device authorizations: which session sees and decides one, and what happens when two decisions overlap."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from czo_auth.core.devices.authorization import DeviceAuthorization
from czo_auth.core.errors import RateLimited, SecretUnreadable, ValidationFailed
from czo_auth.core.events import types
from czo_auth.core.flows.devices import authorize
from czo_auth.core.flows.devices.authorize import DeviceCodes, DeviceRequest
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.storage.devices import SqlDeviceAuthorizations
from tests.core.flows.deployment import NOW, Deployment, outcome
from tests.support.users import from_here

CLIENT = "deploy-tool"


async def begin(deployment: Deployment, *, key_lifetime: timedelta | None = None) -> DeviceCodes:
    asked = DeviceRequest(client_id=CLIENT, key_lifetime=key_lifetime)
    return await deployment.runtime.devices.request(asked, context=from_here(NOW))


async def approve(deployment: Deployment, person: Principal, codes: DeviceCodes) -> str:
    approval = deployment.runtime.devices.approve(codes.user_code, context=from_here(NOW).of(person))
    return await outcome(approval)


async def deny(deployment: Deployment, person: Principal, codes: DeviceCodes) -> str:
    return await outcome(deployment.runtime.devices.deny(codes.user_code, context=from_here(NOW).of(person)))


async def fetch(deployment: Deployment, codes: DeviceCodes) -> str:
    return await outcome(
        deployment.runtime.devices.fetch(codes.device_code, client_id=CLIENT, context=from_here(NOW))
    )


async def is_shown_to(deployment: Deployment, person: Principal, codes: DeviceCodes) -> bool:
    opened = await deployment.runtime.devices.open(codes.user_code, context=from_here(NOW).of(person))
    return opened.is_own


async def two_sessions(deployment: Deployment) -> tuple[Principal, Principal]:
    """Sign the same user in twice."""
    user = await deployment.user("ada")
    tokens = [await deployment.sign_in(user) for _ in range(2)]
    return await deployment.proved(tokens[0]), await deployment.proved(tokens[1])


@pytest.mark.parametrize("decide", [approve, deny])
async def test_only_the_session_that_opened_a_request_sees_and_decides_it(
    deployment: Deployment, decide: Any
) -> None:
    first, second = await two_sessions(deployment)
    codes = await begin(deployment)
    assert await is_shown_to(deployment, first, codes) is True
    assert await is_shown_to(deployment, second, codes) is False
    assert await approve(deployment, second, codes) == "OpenedInAnotherSession"
    assert await deny(deployment, second, codes) == "OpenedInAnotherSession"
    assert await decide(deployment, first, codes) == "done"
    # The decision does not open it to others.
    assert await is_shown_to(deployment, first, codes) is True
    assert await is_shown_to(deployment, second, codes) is False


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=-1), timedelta(days=4000)])
async def test_impossible_lifetime_is_refused(deployment: Deployment, lifetime: timedelta) -> None:
    with pytest.raises(ValidationFailed) as refused:
        await begin(deployment, key_lifetime=lifetime)
    assert [name for name, _ in refused.value.details] == ["expiresIn"]


async def test_request_is_refused_when_no_unused_code_is_found(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authorize, "new_user_code", lambda: "BCDF-GHJK")
    assert (await begin(deployment)).user_code == "BCDF-GHJK"
    with pytest.raises(RateLimited):
        await begin(deployment)


# --- overlapping decisions -------------------------------------------------------------------------------------------
def read_stale_row(monkeypatch: pytest.MonkeyPatch, name: str, **seen: Any) -> None:
    """Let the read *name* return the row as it was before another request changed it: with *seen* in its columns."""
    read = getattr(SqlDeviceAuthorizations, name)

    def read_before(store: SqlDeviceAuthorizations, given: Any) -> DeviceAuthorization | None:
        found = read(store, given)
        return None if found is None else replace(found, **seen)

    monkeypatch.setattr(SqlDeviceAuthorizations, name, read_before)


@pytest.mark.parametrize("decide", [approve, deny])
async def test_request_is_decided_once_even_if_it_was_read_as_pending(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, decide: Any
) -> None:
    """The statement that writes the decision is conditional; it does not rely on the row lock of the read."""
    ada = await deployment.person("ada")
    codes = await begin(deployment)
    assert await deny(deployment, ada, codes) == "done"
    read_stale_row(monkeypatch, "lock_by_user_code", status="pending")
    assert await decide(deployment, ada, codes) == "InvalidUserCode"
    assert await deployment.live_keys(ada) == []
    decisions = await deployment.audit(types.DEVICE_APPROVED, types.DEVICE_DENIED)
    assert [record.audit_event.action for record in decisions] == [types.DEVICE_DENIED]


async def test_key_is_fetched_once_even_if_it_was_read_as_approved(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await deployment.person("ada")
    codes = await begin(deployment)
    assert await approve(deployment, ada, codes) == "done"
    assert await fetch(deployment, codes) == "done"
    read_stale_row(monkeypatch, "lock_by_device_code", status="approved")
    assert await fetch(deployment, codes) == "InvalidDeviceCode"


async def test_key_that_does_not_open_is_kept(deployment: Deployment) -> None:
    """A deployment that misses an encryption key for a while destroys nothing."""
    ada = await deployment.person("ada")
    codes = await begin(deployment)
    assert await approve(deployment, ada, codes) == "done"

    def replace_sealed(tx: Transaction | Any, sealed: str) -> str:
        devices = tx.tables.device_authorizations
        before: str = tx.connection.execute(devices.select()).one().sealed_key
        tx.connection.execute(devices.update().values(sealed_key=sealed))
        return before

    sealed = await deployment.transactions.run(lambda tx: replace_sealed(tx, "v1.k1.damaged"))
    with pytest.raises(SecretUnreadable):
        await deployment.runtime.devices.fetch(codes.device_code, client_id=CLIENT, context=from_here(NOW))
    await deployment.transactions.run(lambda tx: replace_sealed(tx, sealed))
    assert await fetch(deployment, codes) == "done"
