"""What the shop promises its customers, tested without a server, a mailbox or a phone."""

from __future__ import annotations

from datetime import timedelta

from czo_auth.testing import AuthHost


async def test_orders_are_for_people_who_are_signed_in(auth_host: AuthHost) -> None:
    assert (await auth_host.client().get("/orders")).status_code == 401
    ada = await auth_host.person()
    answer = await ada.client.get("/orders")
    assert answer.json()["for"] == ada.id


async def test_key_reads_orders_only_with_its_scope(auth_host: AuthHost) -> None:
    ada = await auth_host.person()
    reader = await auth_host.api_key(ada, scopes=["orders:read"])
    writer = await auth_host.api_key(ada, scopes=["orders:write"])
    assert (await reader.client.get("/orders")).status_code == 200
    assert (await writer.client.get("/orders")).json()["code"] == "INSUFFICIENT_SCOPE"


async def test_customers_are_for_administrators_only(auth_host: AuthHost) -> None:
    root, ada = await auth_host.administrator(), await auth_host.person(two_factor=True)
    async with auth_host.running():
        assert (await root.client.get("/admin/customers")).status_code == 200
        assert (await ada.client.get("/admin/customers")).status_code == 403


async def test_session_ends_after_a_week(auth_host: AuthHost) -> None:
    ada = await auth_host.person(two_factor=True)
    auth_host.clock.move(timedelta(days=7, seconds=1))
    assert (await ada.client.get("/orders")).status_code == 401
    await ada.sign_in()
    assert (await ada.client.get("/orders")).status_code == 200


async def test_shop_notes_what_happened(auth_host: AuthHost) -> None:
    async with auth_host.running():
        await auth_host.person(two_factor=True)
        delivered = await auth_host.deliver_events()
        activity = (await auth_host.client().get("/activity")).json()
    assert "auth.2fa.enabled" in activity
    assert {event.type for event in delivered} <= set(activity)
