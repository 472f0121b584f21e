"""Reporting a leaked key: who holds the whole of it may end it, and learns nothing by that."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from czo_auth.crypto import tokens
from tests.contract.acting import clients, create_key, is_accepted, listed_keys
from tests.contract.api import Answer, Api
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.database import everything
from tests.contract.deployments import Deployment, Timed

PLACE = "https://git.example/octo/hello/blob/main/config.py"
REPORTED = "auth.apikey.leak_reported"
LEAKED = "auth.apikey.leaked"
REVOKED = "auth.apikey.revoked"


async def report(api: Api, key: str, **more: object) -> Answer:
    return await api.post("/api-keys/report-leak", {"key": key, **more})


async def audited(here: Deployment, *actions: str) -> list[Any]:
    """Read the records of these actions, oldest first."""
    found = await here.auth.services.transactions.read(lambda tx: tx.audit_log.audit_after(0, limit=100_000))
    return [record for record in found if record.audit_event.action in actions]


async def mailed(timed: Timed, to: str) -> list[Any]:
    """Give the notices of leaks, once the mails on their way have arrived."""
    async with asyncio.timeout(60):
        while not (  # noqa: ASYNC110 - it comes from the background
            found := [one for one in timed.mail.messages if (one.to, one.kind) == (to, "api_key_leaked")]
        ):
            await asyncio.sleep(0.005)
    return found


async def test_reported_key_is_dead_and_its_owner_knows(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    key, other = await create_key(timed.api, session), await create_key(timed.api, session)
    assert await is_accepted(timed.api, key["key"]), "remembered before it is reported"
    assert accepted(await report(timed.api, key["key"], url=PLACE)) == {"status": True}
    assert not await is_accepted(timed.api, key["key"])
    assert await is_accepted(timed.api, other["key"])
    assert [one["id"] for one in await listed_keys(timed.api, session)] == [other["id"]]

    (message,) = await mailed(timed, account.email)
    assert key["prefix"] in message.subject + message.text
    assert "git . example" in message.text
    leaked, revoked = await audited(timed, LEAKED, REVOKED)
    for record in (leaked, revoked):
        assert (record.audit_event.user_id, record.audit_event.details["apiKeyId"]) == (account.id, key["id"])
        assert (record.context.actor_kind, record.context.ip) == ("anonymous", "127.0.0.1")
    assert leaked.audit_event.details["url"] == PLACE
    assert leaked.audit_event.details["response"] == "revoke"
    assert revoked.audit_event.details["reason"] == "leaked"
    events = await timed.auth.services.transactions.read(lambda tx: tx.outbox.events_after(0, limit=10_000))
    assert [one.type for one in events][-2:] == [LEAKED, REVOKED]
    assert events[-1].data["userId"] == account.id


async def test_quarantined_key_waits_for_its_owner(deploy: Deploy) -> None:
    timed = await deploy(leaked_api_keys="quarantine")
    account, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    for _ in range(2):
        accepted(await report(timed.api, key["key"]))
        assert not await is_accepted(timed.api, key["key"])
    (shown,) = await listed_keys(timed.api, session)
    assert shown["enabled"] is False
    assert len(await mailed(timed, account.email)) == 1, "who is told already is not told again"
    (leaked,) = await audited(timed, LEAKED, REVOKED)
    assert leaked.audit_event.details["response"] == "quarantine"

    accepted(await timed.api.patch(f"/api-keys/{key['id']}", {"enabled": True}, bearer=session.token))
    assert await is_accepted(timed.api, key["key"])
    accepted(await report(timed.api, key["key"]))
    assert not await is_accepted(timed.api, key["key"])


async def test_answer_is_the_same_for_every_key(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    live, revoked = await create_key(timed.api, session), await create_key(timed.api, session)
    off = await create_key(timed.api, session)
    accepted(await timed.api.delete(f"/api-keys/{revoked['id']}", bearer=session.token), 204)
    accepted(await timed.api.patch(f"/api-keys/{off['id']}", {"enabled": False}, bearer=session.token))
    keys = [live["key"], live["key"], revoked["key"], off["key"], tokens.new_token("czo_")]
    answers = [await report(timed.api, key, url=PLACE) for key in keys]
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, b'{"status":true}')}
    assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1
    records = await audited(timed, REPORTED)
    assert [record.audit_event.details["acted"] for record in records] == [1, 0, 0, 1, 0]


async def test_scanner_sends_its_finds_as_they_are(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    keys = [await create_key(timed.api, session) for _ in range(3)]
    finds: list[dict[str, object]] = [
        {"token": key["key"], "type": "czo_auth_key", "url": PLACE, "source": "commit"} for key in keys[:2]
    ]
    finds += [{"token": keys[0]["key"], "type": "czo_auth_key", "url": "", "source": "content"}]
    finds += [{"token": "some other thing", "type": "x", "url": "", "source": "content", "new_field": 1}]
    accepted(await timed.api.post("/api-keys/report-leak", finds))
    assert [await is_accepted(timed.api, key["key"]) for key in keys] == [False, False, True]
    (record,) = await audited(timed, REPORTED)
    assert record.audit_event.details == {"reported": 2, "acted": 2}
    leaked = await audited(timed, LEAKED)
    assert {one.audit_event.details["source"] for one in leaked} == {"commit"}
    accepted(await timed.api.post("/api-keys/report-leak", {"matches": [{"token": keys[2]["key"]}]}))
    assert not await is_accepted(timed.api, keys[2]["key"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"key": "czo_short"},
        {"key": "czo_" + "A" * 44},
        {"key": "czs_" + "A" * 43},
        {"key": "czo_" + "A" * 42 + "B"},
        {"key": "czo_" + "A" * 43 + "\n"},
        {"key": 1},
        {"key": "czo_" + "A" * 43, "url": "https://" + "x" * 2048},
        {"key": "czo_" + "A" * 43, "matches": [{"token": "x"}]},
        {"matches": [{"token": "x"}], "url": PLACE},
        {"matches": [{"url": PLACE}]},
        {"matches": []},
        [{"token": "x"}] * 501,
        [["czo_" + "A" * 43]],
        {"key": "czo_" + "A" * 43, "userId": "x"},
    ],
)
async def test_what_is_no_report_is_refused_without_an_echo(timed_sqlite: Timed, body: Any) -> None:
    answer = await timed_sqlite.api.post("/api-keys/report-leak", body)
    refused(answer, 400, "VALIDATION_ERROR")
    assert "AAAA" not in answer.text


async def test_key_travels_in_the_body_only(timed_sqlite: Timed) -> None:
    _, session = await timed_sqlite.people.newcomer()
    key = await create_key(timed_sqlite.api, session)
    for answer in (
        await timed_sqlite.api.get(f"/api-keys/report-leak?key={key['key']}", bearer=session.token),
        await timed_sqlite.api.post(f"/api-keys/report-leak?key={key['key']}", {}),
    ):
        assert answer.status_code >= 400
    assert await is_accepted(timed_sqlite.api, key["key"])


SPELLINGS = {
    "as it is": lambda key: f"https://paste.example/{key}?key={key}#{key}",
    "as a user": lambda key: f"https://{key}:{key}@paste.example/",
    "behind percent signs": lambda key: "https://paste.example/" + quote(key.replace("_", "%5F")),
    "twice behind them": lambda key: "https://paste.example/" + quote(quote(key.replace("_", "%5F"))),
    "in the source": lambda key: PLACE,
}


@pytest.mark.parametrize("spelling", list(SPELLINGS))
async def test_no_trace_of_the_key_is_kept(timed: Timed, spelling: str) -> None:
    """S20. The address that the reporter gives may hold the key itself."""
    account, session = await timed.people.newcomer()
    key: Mapping[str, Any] = await create_key(timed.api, session)
    find = {"token": key["key"], "url": SPELLINGS[spelling](key["key"]), "source": key["key"]}
    accepted(await timed.api.post("/api-keys/report-leak", [find]))
    (message,) = await mailed(timed, account.email)
    secret = key["key"][8:]
    assert secret not in message.subject + message.text
    assert secret not in await everything(timed.auth.settings.storage_url)
    (leaked,) = await audited(timed, LEAKED)
    assert secret not in str(leaked)


@pytest.mark.parametrize(
    ("reported", "kept"),
    [
        ("https://user:password@git.example/a?b=c#L1", "https://git.example/a?b=c#L1"),
        (
            "https://git.example/\r\nBcc: eve@evil.example",
            "https://git.example/\\u000d\\u000aBcc: eve@evil.example",
        ),
        ("javascript:alert(1)", None),
        ("file:///etc/passwd", None),
        ("", None),
    ],
)
async def test_place_is_a_plain_address_on_one_line(
    timed_sqlite: Timed, reported: str, kept: str | None
) -> None:
    account, session = await timed_sqlite.people.newcomer()
    key = await create_key(timed_sqlite.api, session)
    accepted(await report(timed_sqlite.api, key["key"], url=reported))
    (leaked,) = await audited(timed_sqlite, LEAKED)
    assert leaked.audit_event.details.get("url") == kept
    (message,) = await mailed(timed_sqlite, account.email)
    assert not any(line.startswith("Bcc") for line in message.text.splitlines())


async def test_report_acts_at_the_next_request_of_every_process(live: Live) -> None:
    _, session = await live.people.newcomer()
    keys = [await create_key(live.api, session) for _ in range(5)]
    async with clients(live.served.server) as apis:
        for key in keys:
            assert all(await asyncio.gather(*[is_accepted(api, key["key"]) for api in apis]))
            accepted(await report(apis[0], key["key"], url=PLACE))
            assert not any(await asyncio.gather(*[is_accepted(api, key["key"]) for api in apis]))
    for key in keys:
        assert key["key"][8:] not in live.served.server.output()


async def test_reports_at_the_same_time_end_the_key_once(live: Live) -> None:
    account, session = await live.people.newcomer()
    key = await create_key(live.api, session)
    answers = await asyncio.gather(*[report(live.api, key["key"]) for _ in range(16)])
    assert {answer.status_code for answer in answers} == {200}
    reported = [one for one in await audited(live, LEAKED) if one.audit_event.user_id == account.id]
    assert len(reported) == 1
