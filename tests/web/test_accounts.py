"""The pages of one's own account, and of administrators about accounts."""

from __future__ import annotations

import json

from tests.contract.acting import create_organization, join
from tests.contract.checks import accepted
from tests.web.conftest import Pages


async def test_address_is_changed_by_a_link_that_opens_a_page_with_a_button(pages: Pages) -> None:
    account, session = await pages.here.people.newcomer()
    assert account.email in (await pages.get("/email", session=session.token)).text
    answer = await pages.post("/email", {"email": "new@example.com"}, session=session.token)
    assert answer.headers["location"] == "/account/security"
    token = await pages.here.mail.token("new@example.com", "email_change")
    page = await pages.get(f"/verify-email?token={token}")
    assert page.status_code == 200
    user = accepted(await pages.here.api.get("/session", bearer=session.token))["user"]
    assert user["email"] == account.email, "a look at the page changes nothing"
    assert (await pages.post("/verify-email", {"token": token})).status_code == 303
    user = accepted(await pages.here.api.get("/session", bearer=session.token))["user"]
    assert user["email"] == "new@example.com"
    back = await pages.here.mail.token(account.email, "email_change_notice")
    assert (
        'action="/account/revert-email-change"'
        in (await pages.get(f"/revert-email-change?token={back}")).text
    )
    answer = await pages.post("/revert-email-change", {"token": back})
    assert answer.headers["location"] == "/account/sign-in"
    assert not await pages.here.people.is_alive(session)
    for path in ("revert-email-change", "reject-verification"):
        for used in (back, token, "x"):
            text = (await pages.get(f"/{path}?token={used}")).text
            assert "This link has expired or was already used." in text
            assert f'action="/account/{path}"' not in text


async def test_used_confirmation_link_offers_to_reject_nothing(pages: Pages) -> None:
    account, _ = await pages.here.people.newcomer()
    accepted(await pages.here.api.post("/send-verification-email", {"email": account.email}))
    token = await pages.here.mail.token(account.email, "verification")
    await pages.post("/verify-email", {"token": token})
    text = (await pages.get(f"/reject-verification?token={token}")).text
    assert "This link has expired or was already used." in text
    assert 'action="/account/reject-verification"' not in text


async def test_link_of_a_change_that_ended_offers_nothing(pages: Pages) -> None:
    account, session = await pages.here.people.newcomer()
    tokens = []
    for name in ("first", "second"):
        await pages.post("/email", {"email": f"{name}@example.com"}, session=session.token)
        tokens.append(await pages.here.mail.token(f"{name}@example.com", "email_change"))
    replaced, rejected = tokens
    form = 'action="/account/reject-verification"'
    assert form in (await pages.get(f"/reject-verification?token={rejected}")).text
    await pages.post("/reject-verification", {"token": rejected})
    for token in (replaced, rejected):
        text = (await pages.get(f"/reject-verification?token={token}")).text
        assert "This link has expired or was already used." in text
        assert form not in text
    back = await pages.here.mail.token(account.email, "email_change_notice")
    assert (
        'action="/account/revert-email-change"'
        in (await pages.get(f"/revert-email-change?token={back}")).text
    )


async def test_old_proof_leads_to_the_page_that_asks_for_it(pages: Pages) -> None:
    _, session = await pages.here.people.newcomer()
    pages.here.time.advance(minutes=11)
    for path, form in (("/email", {"email": "x@example.com"}), ("/delete-account", {}), ("/export", {})):
        answer = await pages.post(path, form, session=session.token)
        assert answer.headers["location"].startswith("/account/reauthenticate?next="), path


async def test_confirmation_page_says_who_made_the_account_and_offers_not_me(pages: Pages) -> None:
    account, session = await pages.here.people.newcomer()
    accepted(await pages.here.api.post("/send-verification-email", {"email": account.email}))
    token = await pages.here.mail.token(account.email, "verification")
    text = (await pages.get(f"/verify-email?token={token}")).text
    assert account.email in text
    assert "127.0.0.1" in text
    assert "This was not me" in text
    asked = await pages.get(f"/reject-verification?token={token}")
    assert account.email in asked.text
    assert await pages.here.people.is_alive(session)
    await pages.post("/reject-verification", {"token": token})
    assert not await pages.here.people.is_alive(session)


async def test_account_is_exported_and_deleted(pages: Pages) -> None:
    account, session = await pages.here.people.newcomer()
    saved = await pages.post("/export", session=session.token)
    assert saved.headers["content-disposition"].startswith("attachment")
    assert json.loads(saved.text)["user"]["email"] == account.email
    assert account.email in (await pages.get("/delete-account", session=session.token)).text
    answer = await pages.post("/delete-account", session=session.token)
    assert answer.headers["location"] == "/account/sign-in"
    assert not await pages.here.people.is_alive(session)


async def test_last_owner_reads_which_organization_keeps_them(pages: Pages) -> None:
    _, session = await pages.here.people.newcomer()
    mate = await pages.here.people.newcomer()
    organization = await create_organization(pages.here.api, session, "Workshop of ours")
    await join(pages.here.api, session, organization, mate)
    answer = await pages.post("/delete-account", session=session.token)
    assert answer.status_code == 409
    assert "Workshop of ours" in answer.text


async def test_administrator_creates_ends_sessions_exports_and_deletes(pages: Pages) -> None:
    admin = await pages.here.people.sign_in(pages.here.ada, "admin")
    form = {"email": "made@example.com", "name": "Made"}
    made = await pages.post("/admin/new-user", form, session=admin.token)
    path = made.headers["location"].removeprefix("/account")
    await pages.here.mail.token("made@example.com", "account_created")
    account, session = await pages.here.people.newcomer()
    theirs = f"/admin/users/{account.id}"
    assert "127.0.0.1" in (await pages.get(theirs, session=admin.token)).text
    await pages.post(f"{theirs}/sessions/{session.id}/end", session=admin.token)
    assert not await pages.here.people.is_alive(session)
    saved = await pages.post(f"{theirs}/export", session=admin.token)
    assert json.loads(saved.text)["user"]["id"] == account.id
    gone = await pages.post(
        f"{path}/delete", {"delete_reason": "asked", "confirmed": "1"}, session=admin.token
    )
    assert gone.headers["location"] == "/account/admin/users"
    assert (await pages.get(path, session=admin.token)).status_code == 404
    own = await pages.post(
        f"/admin/users/{pages.here.ada.id}/ban",
        {"reason": "two clicks", "confirmed": "1"},
        session=admin.token,
    )
    assert own.status_code == 409
    assert "last administrator" in own.text


async def test_changes_of_actor_types_ask_for_recent_proof(pages: Pages) -> None:
    account, _ = await pages.here.people.newcomer()
    admin = await pages.here.people.sign_in(pages.here.ada, "admin")
    pages.here.time.advance(minutes=11)
    for path, form in (
        ("actor-types", {"actor": "merchant"}),
        ("reset-two-factor", {"reset_reason": "x"}),
        ("delete", {"delete_reason": "x"}),
        ("export", {}),
    ):
        answer = await pages.post(f"/admin/users/{account.id}/{path}", form, session=admin.token)
        assert answer.headers["location"].startswith("/account/reauthenticate?next="), path


async def test_organization_without_an_owner_is_handed_over(pages: Pages) -> None:
    owner, owner_session = await pages.here.people.newcomer()
    member, member_session = await pages.here.people.newcomer()
    organization = await create_organization(pages.here.api, owner_session, "Left behind")
    await join(pages.here.api, owner_session, organization, (member, member_session))
    admin = await pages.here.people.sign_in(pages.here.ada, "admin")
    assert "Left behind" in (await pages.get("/admin/organizations?search=left", session=admin.token)).text
    path, form = f"/admin/organizations/{organization}/owner", {"email": member.email, "reason": "owner left"}
    assert (await pages.get(path, session=admin.token)).status_code == 200
    assert (await pages.post(path, form, session=admin.token)).status_code == 409
    accepted(
        await pages.here.api.post(f"/admin/users/{owner.id}/ban", {"reason": "gone"}, bearer=admin.token)
    )
    done = await pages.post(path, form, session=admin.token)
    assert done.headers["location"] == "/account/admin/organizations"
