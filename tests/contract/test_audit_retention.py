"""Retention of the audit log: old records and old addresses leave it, and it says how far (S43)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from czo_auth.core.flows.administration import audit_retention
from czo_auth.core.flows.administration.audit import ChainVerdict, ReadAuditLog
from tests.contract.acting import create_key
from tests.contract.conftest import Deploy
from tests.contract.database import sql
from tests.contract.deployments import Timed


async def verify(here: Timed) -> ChainVerdict:
    return await ReadAuditLog(here.auth.services).verify_audit()


async def retained(here: Timed) -> None:
    await here.auth.audit_retention.apply(now=here.clock())


@pytest.fixture
async def timed(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> Timed:
    monkeypatch.setattr(audit_retention, "BATCH", 3)
    here = await deploy(audit_retention_days=30, audit_address_days=7)
    _, session = await here.people.newcomer()
    for _ in range(4):
        await create_key(here.api, session)
    return here


async def test_young_records_stay_as_they_are(timed: Timed) -> None:
    before = await verify(timed)
    await timed.auth.audit_retention.apply(now=timed.clock())
    # What was prepared long ago is not of this deployment's time.
    after = await verify(timed)
    assert (before.broken_at, after.broken_at) == (None, None)


async def test_old_records_are_cut_in_batches_and_the_rest_verifies(timed: Timed) -> None:
    timed.clock.advance(days=31)  # type: ignore[attr-defined]
    await timed.people.newcomer()
    await retained(timed)
    verdict = await verify(timed)
    assert verdict.broken_at is None
    assert verdict.cut_through > 3
    records = await timed.auth.services.transactions.read(lambda tx: tx.audit_log.audit_after(0, limit=1000))
    assert records[0].sequence == verdict.cut_through + 1
    await retained(timed)
    assert (await verify(timed)).cut_through == verdict.cut_through


async def test_records_that_are_missing_beside_a_cut_are_noticed(timed: Timed) -> None:
    timed.clock.advance(days=31)  # type: ignore[attr-defined]
    await timed.people.newcomer()
    await retained(timed)
    cut = (await verify(timed)).cut_through
    await sql(timed.auth.settings.storage_url, f"DELETE FROM {{}}audit WHERE sequence = {cut + 1}")
    assert (await verify(timed)).broken_at == cut + 2


async def test_first_record_that_is_missing_without_a_cut_is_noticed(timed: Timed) -> None:
    await sql(timed.auth.settings.storage_url, "DELETE FROM {}audit WHERE sequence = 1")
    assert (await verify(timed)).broken_at == 2


async def test_log_that_is_broken_is_not_cut(timed: Timed) -> None:
    await sql(timed.auth.settings.storage_url, "UPDATE {}audit SET method = 'otp' WHERE sequence = 2")
    timed.clock.advance(days=31)  # type: ignore[attr-defined]
    await timed.people.newcomer()
    await retained(timed)
    assert (await verify(timed)).broken_at == 2


async def test_addresses_leave_before_the_records(timed: Timed) -> None:
    timed.clock.advance(days=8)  # type: ignore[attr-defined]
    await timed.people.newcomer()
    young = timed.clock()
    await retained(timed)
    records = await timed.auth.services.transactions.read(lambda tx: tx.audit_log.audit_after(0, limit=1000))
    assert not [one for one in records if one.at < young and one.context.ip]
    assert [one for one in records if one.at >= young and one.context.ip]
    assert [one for one in records if one.at < young and "name" in one.audit_event.details]
    assert (await verify(timed)).broken_at is None


async def test_newest_record_is_never_cut(deploy: Deploy) -> None:
    here = await deploy(audit_retention_days=1)
    await here.people.newcomer()
    here.clock.advance(days=400)  # type: ignore[attr-defined]
    await retained(here)
    await here.people.newcomer()
    verdict = await verify(here)
    assert verdict.broken_at is None
    assert replace(verdict, records=0).cut_through > 0
