"""What time does to API keys: notices, the longest life, the end for disuse; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.usage import GatheredUses, KeyUsage, LastUse
from czo_auth.core.errors import InvalidApiKey, StorageUnavailable
from czo_auth.core.flows.api_keys.changes import ApiKeyChanges
from czo_auth.core.flows.api_keys.expiry import KeyExpiry
from czo_auth.core.flows.api_keys.new_key import NewApiKey
from czo_auth.core.flows.organizations.changes import OrganizationChanges
from czo_auth.core.mail import MailMessage
from czo_auth.core.organizations.organization import Organization
from czo_auth.core.principal import Principal
from czo_auth.crypto.sealing import new_key_text
from czo_auth.runtime import Runtime
from czo_auth.runtime.housekeeping import Housekeeping
from czo_auth.settings import Settings
from czo_auth.storage import open_storage
from czo_auth.testing import Mailbox
from tests.core.flows.deployment import NOW, Deployment, nowhere, open_deployment
from tests.support.users import from_here

KEY = new_key_text()
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
EXPIRING, EXPIRED = "auth.apikey.expiring", "auth.apikey.expired"


@pytest.fixture
async def deployment(migrated_url: str) -> AsyncIterator[Deployment]:
    async with open_deployment(migrated_url, key=KEY) as deployment:
        yield deployment


async def key_of(
    deployment: Deployment, owner: Principal, *, days: float | None = None, name: str = "key", **more: Any
) -> ApiKey:
    expires_in = None if days is None else timedelta(days=days)
    new = NewApiKey(name=name, expires_in=expires_in, **more)
    created = await deployment.runtime.create_api_keys.create(new, context=from_here(NOW).of(owner))
    return created.api_key


def reminders(*deployments: Deployment) -> list[MailMessage]:
    """Give the mails about the ends of keys; each key that is made is mailed as well."""
    sent = [message for deployment in deployments for message in deployment.mailbox.messages]
    return [message for message in sent if message.kind != "api_key_created"]


async def mailed(deployment: Deployment, amount: int) -> list[tuple[str, str]]:
    """Wait for so many mails, and see that no more come; gives kinds and texts."""
    async with asyncio.timeout(60):
        while len(reminders(deployment)) < amount:  # noqa: ASYNC110 - they come from the background
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)
    assert len(reminders(deployment)) == amount
    return [(message.kind, message.text) for message in reminders(deployment)]


async def reported(deployment: Deployment) -> list[tuple[Any, ...]]:
    found = await deployment.events(EXPIRING)
    return [(event.data["apiKeyId"], event.data["daysLeft"], event.data["reason"]) for event in found]


async def test_owner_is_notified_once_30_7_and_1_day_before(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    key = await key_of(deployment, ada, days=40, name="deploy")
    life = deployment.runtime.key_expiry
    for at in (9.9, 10.01, 10.02, 20, 33.01, 34, 39.01, 39.9, 41):
        await life.remind(now=NOW + at * DAY)
    assert await reported(deployment) == [
        (key.id, 30, "expiry"),
        (key.id, 7, "expiry"),
        (key.id, 1, "expiry"),
    ]
    mails = await mailed(deployment, 3)
    assert all(kind == "api_key_expiring" and f"- deploy ({key.prefix}…)" in text for kind, text in mails)
    assert {message.to for message in reminders(deployment)} == {"ada@example.com"}


async def test_thresholds_that_passed_at_creation_are_not_reported(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    five = await key_of(deployment, ada, days=5)
    await key_of(deployment, ada, days=0.5)
    for at in (0, 0.1, 3.9, 4.01, 4.5):
        await deployment.runtime.key_expiry.remind(now=NOW + at * DAY)
    assert await reported(deployment) == [(five.id, 1, "expiry")]


async def test_notices_that_were_missed_are_reported_as_one(deployment: Deployment) -> None:
    key = await key_of(deployment, await deployment.person("ada"), days=40)
    await deployment.runtime.key_expiry.remind(now=NOW + 35 * DAY)
    await deployment.runtime.key_expiry.remind(now=NOW + 35 * DAY + MINUTE)
    assert await reported(deployment) == [(key.id, 5, "expiry")]


async def test_keys_that_end_on_one_day_are_reported_in_one_mail(deployment: Deployment) -> None:
    ada, eve = await deployment.person("ada"), await deployment.person("eve")
    keys = [await key_of(deployment, ada, days=40 + hours / 24, name=f"k{hours}") for hours in (0, 5, 20)]
    await key_of(deployment, ada, days=45)
    other = await key_of(deployment, eve, days=40)
    for at in (10.01, 10.5, 11.01):
        await deployment.runtime.key_expiry.remind(now=NOW + at * DAY)
    assert {entry[0] for entry in await reported(deployment)} == {key.id for key in [*keys, other]}
    mails = dict(
        [(message.to, message) for message in reminders(deployment)] if await mailed(deployment, 2) else []
    )
    assert mails["ada@example.com"].subject.endswith("3 of your API keys expire soon")
    assert mails["ada@example.com"].text.count("\n- k") == 3
    assert mails["eve@example.com"].kind == "api_key_expiring"


async def test_dead_keys_are_not_reported(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    keys = deployment.runtime.manage_api_keys
    revoked, disabled, rotated = [await key_of(deployment, ada, days=40) for _ in range(3)]
    await keys.revoke(revoked.id, context=from_here(NOW).of(ada))
    off = ApiKeyChanges(given=frozenset({"enabled"}), enabled=False)
    await keys.change(disabled.id, off, context=from_here(NOW).of(ada))
    successor = await deployment.runtime.create_api_keys.rotate(
        rotated.id, overlap=DAY, context=from_here(NOW).of(ada)
    )
    await deployment.ban(await deployment.person("eve"))
    await deployment.runtime.key_expiry.remind(now=NOW + 10.5 * DAY)
    assert [entry[0] for entry in await reported(deployment)] == [successor.api_key.id]


async def test_key_whose_end_is_moved_is_notified_of_its_new_end(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    key = await key_of(deployment, ada, days=40)
    await deployment.runtime.key_expiry.remind(now=NOW + 10.5 * DAY)
    later = ApiKeyChanges(given=frozenset({"expires_at"}), expires_at=NOW + 100 * DAY)
    await deployment.runtime.manage_api_keys.change(key.id, later, context=from_here(NOW + 11 * DAY).of(ada))
    for at in (33, 39.5, 69, 70.01, 71):
        await deployment.runtime.key_expiry.remind(now=NOW + at * DAY)
    assert await reported(deployment) == [(key.id, 30, "expiry"), (key.id, 30, "expiry")]


@pytest.mark.each_database
async def test_processes_that_remind_at_once_remind_once(deployment: Deployment, migrated_url: str) -> None:
    people = [await deployment.person(f"user{number}") for number in range(4)]
    keys = [await key_of(deployment, person, days=40) for person in people for _ in range(3)]
    async with open_deployment(migrated_url, key=KEY) as other:
        lives = [deployment.runtime.key_expiry, other.runtime.key_expiry]
        await asyncio.gather(*(life.remind(now=NOW + 10.5 * DAY) for life in lives * 4))
        assert sorted(entry[0] for entry in await reported(deployment)) == sorted(key.id for key in keys)
        async with asyncio.timeout(60):
            while len(reminders(deployment, other)) < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)
        assert len(reminders(deployment, other)) == 4


# --- the maximum lifetime
# ------------------------------------------------------------------------------------------------
async def set_rules(
    deployment: Deployment, owner: Principal, organization: Organization, **rules: int | None
) -> None:
    changes = OrganizationChanges(given=frozenset(rules), **rules)
    await deployment.organizations.update(organization.id, changes, context=from_here(NOW).of(owner))


async def test_limit_binds_the_keys_that_exist_and_their_owners_are_notified(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme, globex = await deployment.organization(ada), await deployment.organization(ada, "Globex")
    endless = await key_of(deployment, ada, organization_id=acme.id)
    long = await key_of(deployment, ada, days=400, organization_id=acme.id)
    short = await key_of(deployment, ada, days=10, organization_id=acme.id)
    elsewhere = await key_of(deployment, ada, organization_id=globex.id)
    own = await key_of(deployment, ada)
    await set_rules(deployment, ada, acme, api_key_max_days=20)
    ends = {key.id: key.expires_at for key in await deployment.live_keys(ada)}
    assert ends == {
        endless.id: NOW + 20 * DAY,
        long.id: NOW + 20 * DAY,
        short.id: short.expires_at,
        elsewhere.id: None,
        own.id: None,
    }
    records = await deployment.audit("auth.apikey.changed")
    assert {record.audit_event.details["apiKeyId"] for record in records} == {endless.id, long.id}
    assert {record.audit_event.details["reason"] for record in records} == {"longest_life"}
    await deployment.runtime.key_expiry.remind(now=NOW)
    assert {entry[:2] for entry in await reported(deployment)} == {(endless.id, 20), (long.id, 20)}


@pytest.mark.each_database
async def test_key_that_is_made_while_the_limit_is_set_does_not_slip_by(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    await asyncio.gather(
        *(key_of(deployment, ada, organization_id=acme.id) for _ in range(6)),
        set_rules(deployment, ada, acme, api_key_max_days=20),
        *(key_of(deployment, ada, organization_id=acme.id) for _ in range(6)),
    )
    assert {key.expires_at for key in await deployment.live_keys(ada)} == {NOW + 20 * DAY}


async def test_limit_of_the_deployment_binds_older_keys_at_the_next_housekeeping(
    deployment: Deployment, migrated_url: str
) -> None:
    ada = await deployment.person("ada")
    old = await key_of(deployment, ada)
    settings = Settings(
        encryption_key=SecretStr(KEY),
        database_url=migrated_url,
        rate_limit_enabled=False,
        api_key_max_days=30,
    )
    strict = Runtime(settings, clock=lambda: NOW, mail=Mailbox())
    await strict.open()
    try:
        await strict.key_expiry.cap(now=NOW)
        await strict.key_expiry.cap(now=NOW + DAY)
        (key,) = await deployment.live_keys(ada)
        assert (key.id, key.expires_at) == (old.id, NOW + 30 * DAY)
        rotated = await strict.create_api_keys.rotate(
            old.id, overlap=timedelta(0), context=from_here(NOW + DAY).of(ada)
        )
        assert rotated.api_key.expires_at == NOW + 30 * DAY
    finally:
        await strict.stop()


# --- the end for disuse ----------------------------------------------------------------------------------------------
async def keep(life: KeyExpiry, at: datetime) -> None:
    await life.warn_unused(now=at)
    await life.expire_unused(now=at)


async def test_unused_key_is_warned_of_and_then_ends(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    created = await deployment.api_key(ada, acme)
    free = await deployment.api_key(ada)
    await set_rules(deployment, ada, acme, api_key_unused_days=30)
    life = deployment.runtime.key_expiry
    for at in (22.9, 23.01, 24, 29.9, 30.01):
        await keep(life, NOW + at * DAY)
    assert await reported(deployment) == [(created.api_key.id, 7, "unused")]
    assert [kind for kind, _ in await mailed(deployment, 1)] == ["api_key_unused"]
    assert await deployment.events(EXPIRED) == []

    await keep(life, NOW + 30.06 * DAY)
    await keep(life, NOW + 31 * DAY)
    (event,) = await deployment.events(EXPIRED)
    assert (event.data["apiKeyId"], event.data["reason"]) == (created.api_key.id, "unused")
    assert [record.context.actor_kind for record in await deployment.audit(EXPIRED)] == ["system"]
    # Not even a clock that is set back brings it back.
    for now in (NOW + 31 * DAY, NOW):
        with pytest.raises(InvalidApiKey):
            await deployment.runtime.authenticate.api_key(created.key, client=nowhere, now=now)
    await deployment.runtime.authenticate.api_key(free.key, client=nowhere, now=NOW + 31 * DAY)


async def test_no_key_ends_unwarned_when_the_rule_comes_late(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    await key_of(deployment, ada, organization_id=acme.id)
    await set_rules(deployment, ada, acme, api_key_unused_days=30)
    life = deployment.runtime.key_expiry
    for at in (365, 365.1, 371.9):
        await keep(life, NOW + at * DAY)
    assert await deployment.events(EXPIRED) == []
    await keep(life, NOW + 372.01 * DAY)
    assert len(await deployment.events(EXPIRED)) == 1


async def test_use_after_the_warning_restarts_the_period(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    key = await key_of(deployment, ada, organization_id=acme.id)
    await set_rules(deployment, ada, acme, api_key_unused_days=30)
    life = deployment.runtime.key_expiry
    await keep(life, NOW + 25 * DAY)
    used = GatheredUses(latest={key.id: LastUse(NOW + 26 * DAY, None)})
    await deployment.transactions.run(lambda tx: tx.key_uses.add(used, keeps_addresses=True))
    for at in (31, 40, 48.9):
        await keep(life, NOW + at * DAY)
    assert len(await deployment.events(EXPIRING)) == 1
    for at in (49.1, 56.1):
        await keep(life, NOW + at * DAY)
    assert len(await deployment.events(EXPIRING)) == 2
    assert len(await deployment.events(EXPIRED)) == 1


class Processes:
    """The housekeeping of two processes at one moment, each with uses of its own in memory."""

    def __init__(self, deployment: Deployment) -> None:
        self.now = NOW
        self.uses = KeyUsage(), KeyUsage()
        self.here, self.there = (
            Housekeeping(
                deployment.transactions,
                key_usage=uses,
                signing_keys=deployment.runtime.signing_keys,
                recovery=deployment.runtime.recovery,
                key_expiry=deployment.runtime.key_expiry,
                audit_retention=deployment.runtime.audit_retention,
                devices=deployment.runtime.devices,
                now=lambda: self.now,
            )
            for uses in self.uses
        )

    async def keep(self, at: float) -> None:
        """Keep the lives of keys in the first process, *at* days after `NOW`."""
        self.now = NOW + at * DAY
        await self.here.enforce_key_expiry()


async def test_use_that_still_waits_in_a_batch_keeps_the_key(deployment: Deployment) -> None:
    """S19: the own uses are written first, and those of other processes have an hour."""
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    mine, theirs = [await key_of(deployment, ada, organization_id=acme.id) for _ in range(2)]
    await set_rules(deployment, ada, acme, api_key_unused_days=30)
    processes = Processes(deployment)
    await processes.keep(23.01)
    used = NOW + 30 * DAY - MINUTE
    for uses, key in zip(processes.uses, (mine, theirs), strict=True):
        uses.count_use(key.id, stored=None, address=None, now=used)
    await processes.keep(30.04)
    assert await deployment.events(EXPIRED) == []
    await processes.there.flush_key_uses()
    await processes.keep(31)
    assert await deployment.events(EXPIRED) == []
    assert {key.last_used_at for key in await deployment.live_keys(ada)} == {used}


async def test_nothing_ends_for_disuse_within_an_hour_of_an_outage(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    await key_of(deployment, ada, organization_id=acme.id)
    await set_rules(deployment, ada, acme, api_key_unused_days=30)
    processes = Processes(deployment)
    await processes.keep(23.01)
    processes.now = NOW + 40 * DAY
    processes.uses[0].count_use("nobody", stored=None, address=None, now=NOW)
    unreachable = open_storage("postgresql://nobody@127.0.0.1:1/nothing")
    with monkeypatch.context() as outage:
        outage.setattr(processes.here, "_transactions", unreachable.transactions)
        with pytest.raises(StorageUnavailable):
            await processes.here.enforce_key_expiry()
    await unreachable.close()
    await processes.keep(40.01)
    assert await deployment.events(EXPIRED) == []
    await processes.keep(40.05)
    assert len(await deployment.events(EXPIRED)) == 1
