"""The administration pages: proof, counts and exports."""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from czo_auth.core.errors import Unavailable
from czo_auth.core.events.types import AuditFilter, AuditRecord
from czo_auth.server import Server
from czo_auth.web.pages import audit
from czo_auth.web.pages.audit import PAGE, _cell
from tests.contract.api import DEVICE_COOKIE, SESSION_COOKIE, new_client
from tests.contract.deployments import timed_deployment
from tests.support.settings import HERE
from tests.web.conftest import Pages


async def test_an_administrator_without_a_proved_factor_is_asked_for_it(
    sqlite_databases: object, tmp_path: Path
) -> None:
    databases = sqlite_databases
    async with timed_deployment(
        databases.new(),  # type: ignore[attr-defined]
        databases.prepared,  # type: ignore[attr-defined]
        trust_mandatory_devices=True,
        pages_enabled=True,
    ) as here:
        transport = httpx.ASGITransport(Server(here.runtime))
        async with new_client(HERE, transport=transport) as http:
            pages = Pages(here, http)
            form = {"as": "admin", "email": here.ada.email, "password": here.ada.password}
            begun = await pages.post("/sign-in", form)
            assert begun.headers["location"] == "/account/sign-in/code?trust=1"
            challenge = begun.headers["set-cookie"].partition(";")[0]
            proof = {"code": here.ada.has.code(), "trust_device": "1"}
            entered = await pages.post("/sign-in/code", proof, cookie=challenge)
            device = re.findall(rf"({DEVICE_COOKIE}=[^;]+)", str(entered.headers.get_list("set-cookie")))[0]
            again = await pages.post("/sign-in", form, cookie=device)
            session = re.findall(rf"{SESSION_COOKIE}=([^;]+)", again.headers["set-cookie"])[0]
            led = await pages.get("/admin/users?search=a", session=session)
            assert led.headers["location"] == "/account/prove?next=%2Fadmin%2Fusers%3Fsearch%3Da"
            here.time.advance(minutes=2)
            wanted = {"code": here.ada.has.code(), "next": "/admin/users?search=a"}
            proved = await pages.post("/prove", wanted, session=session)
            assert proved.headers["location"] == "/account/admin/users?search=a"
            session = re.findall(rf"{SESSION_COOKIE}=([^;]+)", proved.headers["set-cookie"])[0]
            assert (await pages.get("/admin/users?search=a", session=session)).status_code == 200


async def test_the_overview_counts_who_has_a_second_factor(pages: Pages) -> None:
    await pages.here.admin()
    ada = await pages.here.people.sign_in(pages.here.ada, "admin")
    text = (await pages.get("/admin", session=ada.token)).text
    assert "2 in total, 1 with 2FA" in text
    assert "1 must turn it on before they can do anything else." in text


async def test_a_script_is_redirected_when_the_session_has_ended(pages: Pages) -> None:
    answer = await pages.get("/admin/users", hx_request="true")
    assert answer.status_code == 204
    assert answer.headers["hx-redirect"] == "/account/sign-in?next=%2Fadmin%2Fusers"


async def test_an_export_holds_what_matches(pages: Pages) -> None:
    here = pages.here
    ada = await here.people.sign_in(here.ada, "admin")
    await pages.post("/sign-in", {"as": "customer", "email": here.carol.email, "password": "wrong words"})
    answer = await pages.get("/admin/audit.csv?action=auth.sign_in", session=ada.token)
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert {row["action"] for row in rows} == {"auth.sign_in"}
    assert {row["outcome"] for row in rows} == {"failure"}
    found = await pages.get("/admin/audit.json?action=auth.sign_in", session=ada.token)
    assert len(found.json()["audit"]) == len(rows)


async def test_an_export_is_whole_however_many_records_match(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = pages.here
    monkeypatch.setattr(audit, "_BATCH", 2)
    ada = await here.people.sign_in(here.ada, "admin")
    records, _ = await here.runtime.administration.audit(AuditFilter(), limit=1000)
    batches = 3
    assert len(records) > batches * audit._BATCH
    everything = [record.id for record in records]
    answer = await pages.get("/admin/audit.csv", session=ada.token)
    assert [row["id"] for row in csv.DictReader(answer.text.splitlines())] == everything
    found = await pages.get("/admin/audit.json", session=ada.token)
    assert [row["id"] for row in found.json()["audit"]] == everything


async def test_an_export_whose_batch_fails_is_not_taken_for_whole(
    pages: Pages, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audit, "_BATCH", 2)
    ada = await pages.here.people.sign_in(pages.here.ada, "admin")
    administration = pages.here.runtime.administration
    read = administration.audit_batch

    async def fail_later(*args: Any, before: int | None, **named: Any) -> Sequence[AuditRecord]:
        if before is not None:
            raise Unavailable
        return await read(*args, before=before, **named)

    monkeypatch.setattr(administration, "audit_batch", fail_later)
    answer = await pages.get("/admin/audit.csv", session=ada.token)
    assert answer.text.splitlines()[-1] == audit.INCOMPLETE
    assert len(answer.text.splitlines()) == 1 + 2 + 1
    answer = await pages.get("/admin/audit.json", session=ada.token)
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert caplog.text.count("an export of the audit log is incomplete") == 2


async def test_an_export_with_a_fault_is_not_taken_for_whole(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rows() -> AsyncIterator[audit.Rows]:
        yield [dict.fromkeys(audit.COLUMNS)]
        raise ZeroDivisionError

    parts: list[str] = []

    async def read() -> None:
        async for part in audit._csv(rows()):
            parts.append(part)  # noqa: PERF401 - what came before the fault counts

    with pytest.raises(ZeroDivisionError):
        await read()
    assert "".join(parts).splitlines()[-1] == audit.INCOMPLETE


@pytest.mark.parametrize("name", ["audit.csv", "audit.json"])
async def test_head_of_an_export_reads_one_batch(
    pages: Pages, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(audit, "_BATCH", 2)
    ada = await pages.here.people.sign_in(pages.here.ada, "admin")
    administration = pages.here.runtime.administration
    read, reads = administration.audit_batch, []

    async def noted(*args: Any, **named: Any) -> Sequence[AuditRecord]:
        reads.append(named["before"])
        return await read(*args, **named)

    monkeypatch.setattr(administration, "audit_batch", noted)
    answer = await pages.http.head(
        f"/account/admin/{name}", headers={"cookie": f"{SESSION_COOKIE}={ada.token}"}
    )
    assert (answer.status_code, answer.content, reads) == (200, b"", [None])
    assert "content-length" not in answer.headers
    assert name in answer.headers["content-disposition"]


async def test_an_empty_export_can_be_read(pages: Pages) -> None:
    ada = await pages.here.people.sign_in(pages.here.ada, "admin")
    none = "action=auth.org.deleted"
    answer = await pages.get(f"/admin/audit.csv?{none}", session=ada.token)
    assert answer.text.split() == [",".join(audit.COLUMNS)]
    assert (await pages.get(f"/admin/audit.json?{none}", session=ada.token)).json() == {"audit": []}


async def test_an_export_ends_with_the_rights_of_the_administrator(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = pages.here
    monkeypatch.setattr(audit, "_BATCH", 2)
    ada = await here.people.sign_in(here.ada, "admin")
    read = here.runtime.administration.audit_batch

    async def revoke_then_read(*args: Any, **named: Any) -> Sequence[AuditRecord]:
        await here.api.post("/sign-out", bearer=ada.token)
        return await read(*args, **named)

    monkeypatch.setattr(here.runtime.administration, "audit_batch", revoke_then_read)
    answer = await pages.get("/admin/audit.csv", session=ada.token)
    assert answer.text.splitlines()[-1] == audit.INCOMPLETE
    assert len(answer.text.splitlines()) == 1 + 2 + 1


async def test_pages_and_exports_of_the_audit_log_keep_the_filters(pages: Pages) -> None:
    here = pages.here
    ada = await here.people.sign_in(here.ada, "admin")
    form = {"as": "customer", "email": here.carol.email, "password": "wrong words"}
    begun = here.time.now
    for _ in range(PAGE + 3):
        here.time.advance(minutes=1)
        await pages.post("/sign-in", form)
        if here.time.now.minute % 15 == 0:
            ada = await here.people.sign_in(here.ada, "admin")
    filters = f"outcome=failure&since={begun:%Y-%m-%dT%H:%M}".replace(":", "%3A")
    first = await pages.get(f"/admin/audit?{filters}", session=ada.token)
    assert first.text.count("<code>auth.sign_in</code>") == PAGE
    assert ">Newer<" not in first.text

    def way(text: str, name: str) -> str:
        (address,) = re.findall(rf'href="/account([^"]+)">{name}<', text)
        assert filters in html.unescape(address)
        return html.unescape(address)

    second = await pages.get(way(first.text, "Older"), session=ada.token)
    assert second.text.count("<code>auth.sign_in</code>") == 3
    assert ">Older<" not in second.text
    back = await pages.get(way(second.text, "Newer"), session=ada.token)
    assert back.text.count("<code>auth.sign_in</code>") == PAGE
    assert ">Newer<" not in back.text
    address = way(second.text, "Export JSON").replace("audit?", "audit.json?")
    found = await pages.get(address, session=ada.token)
    assert {each["outcome"] for each in found.json()["audit"]} == {"failure"}
    assert len(found.json()["audit"]) == PAGE + 3


async def test_an_invalid_time_is_refused_with_a_sentence(pages: Pages) -> None:
    ada = await pages.here.people.sign_in(pages.here.ada, "admin")
    for query in ("since=yesterday", "until=0001-01-01T00:00%2B14:00"):
        answer = await pages.get(f"/admin/audit?{query}", session=ada.token)
        assert answer.status_code == 400
        assert "Enter a date or a time" in answer.text
    assert (await pages.get("/admin/audit.csv?outcome=lost", session=ada.token)).status_code == 400


def test_no_cell_is_a_formula() -> None:
    for text in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1"):
        assert _cell(text) == f"'{text}"
    assert _cell("auth.sign_in") == "auth.sign_in"
    assert _cell(None) == ""
