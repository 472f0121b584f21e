"""Rules for new keys and successors that no route reaches, because it checks something else first."""

from __future__ import annotations

from datetime import timedelta

import pytest

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.errors import ApiKeyAlreadyRotated, ValidationFailed
from czo_auth.core.flows.api_keys.new_key import (
    KeyOwner,
    NewApiKey,
    check_overlap,
    generate_key,
    generate_key_text,
    store_successor,
)
from czo_auth.core.transaction import Transaction
from tests.core.flows.deployment import NOW, Deployment
from tests.support.users import from_here

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


async def test_two_expiries_are_refused(deployment: Deployment) -> None:
    new = NewApiKey(name="key", expires_at=NOW + DAY, expires_in=DAY)
    with pytest.raises(ValidationFailed) as refused:
        generate_key(deployment.runtime.services, new, KeyOwner(user_id="ada"), now=NOW)
    assert [name for name, _ in refused.value.details] == ["expiresIn"]


async def test_overlap_is_from_nothing_to_a_day(deployment: Deployment) -> None:
    services = deployment.runtime.services
    for possible in (timedelta(0), DAY):
        check_overlap(services, possible)
    for impossible in (-SECOND, DAY + SECOND):
        with pytest.raises(ValidationFailed) as refused:
            check_overlap(services, impossible)
        assert [name for name, _ in refused.value.details] == ["overlapSeconds"]


async def test_key_that_was_read_before_its_rotation_gets_no_second_successor(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    old = (await deployment.api_key(ada)).api_key
    owner = KeyOwner(user_id=ada.user_id, actor_type="customer")

    def rotate(tx: Transaction) -> ApiKey:
        text = generate_key_text(deployment.runtime.services)
        return store_successor(tx, old, owner, text=text, overlap=DAY, longest_days=None)

    await deployment.transactions.run(rotate, from_here(NOW))
    with pytest.raises(ApiKeyAlreadyRotated):
        await deployment.transactions.run(rotate, from_here(NOW))
    assert len(await deployment.live_keys(ada)) == 2
