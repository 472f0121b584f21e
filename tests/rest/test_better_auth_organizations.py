"""The calls that better-auth's client makes about organizations: shapes and codes."""

from __future__ import annotations

import json
from typing import Any

from tests.rest.callers import NUMBERS, UNKNOWN, confirm, ok, refused
from tests.support.server import RunningServer

MEMBER = {"id", "organizationId", "userId", "role", "createdAt"}
INVITATION = {"id", "organizationId", "email", "role", "status", "inviterId", "expiresAt", "createdAt"}
ORGANIZATION = {"id", "name", "slug", "logo", "metadata", "createdAt"}


def test_better_auth_organization_calls(person: Any) -> None:
    ada = person("ada")
    slug = f"acme-{next(NUMBERS)}"

    assert ok(ada.get("/organization/get-full-organization")) is None
    refused(ada.get("/organization/get-active-member"), 400, "NO_ACTIVE_ORGANIZATION")
    refused(ada.get("/organization/get-active-member-role"), 400, "NO_ACTIVE_ORGANIZATION")
    refused(ada.post("/organization/update", {"data": {"name": "x"}}), 400, "ORGANIZATION_NOT_FOUND")
    assert ok(ada.post("/organization/check-slug", {"slug": slug})) == {"status": True}

    made = ok(
        ada.post(
            "/organization/create", {"name": "Acme", "slug": slug, "metadata": {"a": 1}, "fetchOptions": {}}
        )
    )
    assert set(made) >= ORGANIZATION
    assert (made["slug"], made["metadata"]) == (slug, {"a": 1})
    (owner,) = made["members"]
    assert set(owner) >= MEMBER
    assert (owner["userId"], owner["role"]) == (ada.user["id"], "owner")
    refused(ada.post("/organization/check-slug", {"slug": slug}), 400, "ORGANIZATION_SLUG_ALREADY_TAKEN")
    taken = {"name": "Acme", "slug": slug}
    refused(ada.post("/organization/create", taken), 400, "ORGANIZATION_ALREADY_EXISTS")

    assert [each["id"] for each in ok(ada.get("/organization/list"))] == [made["id"]]
    full = ok(ada.get("/organization/get-full-organization"))
    assert (full["id"], full["members"], full["invitations"]) == (made["id"], [owner], [])
    assert ok(ada.get(f"/organization/get-full-organization?organizationSlug={slug}")) == full
    assert ok(ada.get("/organization/get-active-member")) == owner
    assert ok(ada.get("/organization/get-active-member-role")) == {"role": "owner"}

    kept = {"name": "Other", "slug": f"{slug}-b", "keepCurrentActiveOrganization": True}
    other = ok(ada.post("/organization/create", kept))
    assert ok(ada.get("/organization/get-organization"))["id"] == made["id"]
    refused(
        ada.post("/organization/update", {"data": {"slug": other["slug"]}}),
        400,
        "ORGANIZATION_SLUG_ALREADY_TAKEN",
    )
    updated = ok(ada.post("/organization/update", {"data": {"name": "Acme 2"}, "organizationId": made["id"]}))
    assert (updated["name"], updated["slug"], updated["metadata"]) == ("Acme 2", slug, {"a": 1})

    assert ok(ada.post("/organization/set-active", {"organizationSlug": other["slug"]}))["id"] == other["id"]
    assert ok(ada.get("/get-session"))["session"]["activeOrganizationId"] == other["id"]
    assert ok(ada.post("/organization/set-active", {}))["id"] == other["id"]
    assert ok(ada.post("/organization/set-active", {"organizationId": None})) is None
    assert ok(ada.get("/organization/get-organization")) is None
    assert ok(ada.post("/organization/set-active", {"organizationId": made["id"]}))["name"] == "Acme 2"

    assert ok(ada.post("/organization/delete", {"organizationId": made["id"]}))["id"] == made["id"]
    assert ok(ada.get("/organization/get-full-organization")) is None


def test_better_auth_member_and_invitation_calls(person: Any, server: RunningServer) -> None:
    ada, bob, eve = person("ada"), person("bob"), person("eve")
    acme = ok(ada.post("/organization/create", {"name": "Acme", "slug": f"acme-{next(NUMBERS)}"}))

    invitation = ok(ada.post("/organization/invite-member", {"email": bob.user["email"], "role": ["member"]}))
    assert set(invitation) >= INVITATION
    assert "token" not in invitation
    assert (invitation["status"], invitation["inviterId"]) == ("pending", ada.user["id"])
    body = {"email": bob.user["email"], "role": "admin"}
    refused(
        ada.post("/organization/invite-member", body), 400, "USER_IS_ALREADY_INVITED_TO_THIS_ORGANIZATION"
    )
    invitation = ok(ada.post("/organization/invite-member", {**body, "resend": True}))
    listed = ok(ada.get("/organization/list-invitations"))
    assert [(each["id"] == invitation["id"], each["status"]) for each in listed] in (
        [(True, "pending"), (False, "canceled")],
        [(False, "canceled"), (True, "pending")],
    )

    own = {"invitationId": invitation["id"]}
    unconfirmed = "EMAIL_VERIFICATION_REQUIRED_FOR_INVITATION"
    refused(bob.get("/organization/list-user-invitations"), 403, unconfirmed)
    refused(bob.get(f"/organization/get-invitation?id={invitation['id']}"), 403, unconfirmed)
    refused(bob.post("/organization/accept-invitation", own), 403, unconfirmed)
    confirm(server, bob)
    seen = ok(bob.get(f"/organization/get-invitation?id={invitation['id']}"))
    assert {name: seen[name] for name in ("organizationName", "organizationSlug", "inviterEmail")} == {
        "organizationName": "Acme",
        "organizationSlug": acme["slug"],
        "inviterEmail": ada.user["email"],
    }
    not_recipient = "YOU_ARE_NOT_THE_RECIPIENT_OF_THE_INVITATION"
    refused(eve.get(f"/organization/get-invitation?id={invitation['id']}"), 403, not_recipient)
    refused(eve.post("/organization/accept-invitation", own), 403, not_recipient)
    accepted = ok(bob.post("/organization/accept-invitation", own))
    assert (accepted["invitation"]["status"], accepted["member"]["role"]) == ("accepted", "admin")
    refused(bob.post("/organization/accept-invitation", own), 400, "INVITATION_NOT_FOUND")
    assert ok(bob.get("/organization/get-full-organization"))["id"] == acme["id"]

    rejected = ok(ada.post("/organization/invite-member", {"email": eve.user["email"], "role": "member"}))
    answer = ok(eve.post("/organization/reject-invitation", {"invitationId": rejected["id"]}))
    assert (answer["invitation"]["status"], answer["member"]) == ("rejected", None)
    withdrawn = ok(ada.post("/organization/invite-member", {"email": eve.user["email"], "role": "member"}))
    body = {"invitationId": withdrawn["id"]}
    refused(eve.post("/organization/cancel-invitation", body), 400, "INVITATION_NOT_FOUND")
    assert ok(ada.post("/organization/cancel-invitation", body))["status"] == "canceled"

    members = ok(bob.get("/organization/list-members"))
    assert (members["total"], len(members["members"])) == (2, 2)
    assert ok(bob.get("/organization/list-members?limit=1&offset=1"))["total"] == 2
    ranked = ok(bob.get("/organization/list-members?sortBy=role&sortDirection=desc"))["members"]
    assert [each["role"] for each in ranked] == ["owner", "admin"]
    only = ok(bob.get("/organization/list-members?filterField=role&filterValue=owner"))
    assert (only["total"], only["members"][0]["userId"]) == (1, ada.user["id"])

    member = accepted["member"]["id"]
    role = {"memberId": member, "role": "member"}
    assert ok(ada.post("/organization/update-member-role", role))["role"] == "member"
    asked = f"/organization/get-active-member-role?userId={bob.user['id']}"
    assert ok(ada.get(asked)) == {"role": "member"}
    permissions = {"permissions": {"invitation": ["create"], "organization": ["delete"]}}
    assert ok(ada.post("/organization/has-permission", permissions)) == {"error": None, "success": True}
    assert ok(bob.post("/organization/has-permission", permissions))["success"] is False
    assert (
        ok(ada.post("/organization/has-permission", {"permissions": {"invitation": []}}))["success"] is False
    )

    removed = ok(ada.post("/organization/remove-member", {"memberIdOrEmail": bob.user["email"]}))
    assert removed["member"]["userId"] == bob.user["id"]
    assert ok(bob.get("/organization/get-full-organization")) is None


def test_better_auth_codes(person: Any) -> None:
    ada, bob, mel, eve = person("ada"), person("bob"), person("mel"), person("eve")
    acme = ok(ada.post("/organization/create", {"name": "Acme", "slug": f"acme-{next(NUMBERS)}"}))
    of = {"organizationId": acme["id"]}
    owner, guest = acme["members"][0]["id"], {"email": "guest@example.com"}
    ada.brings(acme, bob, "admin")
    ada.brings(acme, mel, "member")
    invitation = ok(ada.post("/organization/invite-member", {**guest, "role": "viewer"}))
    upwards = {"email": "high@example.com", "role": "owner"}

    for caller, call, body, status, code in (
        (mel, "update", {"data": {"name": "x"}}, 403, "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_ORGANIZATION"),
        (bob, "delete", {}, 403, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_ORGANIZATION"),
        (bob, "remove-member", {"memberIdOrEmail": owner}, 403, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_MEMBER"),
        (mel, "remove-member", {"memberIdOrEmail": owner}, 403, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_MEMBER"),
        (
            bob,
            "update-member-role",
            {"memberId": owner, "role": "member"},
            403,
            "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_MEMBER",
        ),
        (
            mel,
            "invite-member",
            {**guest, "role": "member"},
            403,
            "YOU_ARE_NOT_ALLOWED_TO_INVITE_USERS_TO_THIS_ORGANIZATION",
        ),
        (bob, "invite-member", upwards, 403, "YOU_ARE_NOT_ALLOWED_TO_INVITE_USER_WITH_THIS_ROLE"),
        (
            mel,
            "cancel-invitation",
            {"invitationId": invitation["id"]},
            403,
            "YOU_ARE_NOT_ALLOWED_TO_CANCEL_THIS_INVITATION",
        ),
        (ada, "leave", {}, 400, "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER"),
        (
            ada,
            "remove-member",
            {"memberIdOrEmail": owner},
            400,
            "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER",
        ),
        (
            ada,
            "update-member-role",
            {"memberId": owner, "role": "admin"},
            400,
            "YOU_CANNOT_LEAVE_THE_ORGANIZATION_WITHOUT_AN_OWNER",
        ),
        (ada, "update-member-role", {"memberId": owner, "role": ["admin", "member"]}, 400, "ROLE_NOT_FOUND"),
        (ada, "invite-member", {**guest, "role": "emperor"}, 400, "ROLE_NOT_FOUND"),
        (
            ada,
            "invite-member",
            {"email": bob.user["email"], "role": "member"},
            400,
            "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION",
        ),
        (ada, "remove-member", {"memberIdOrEmail": UNKNOWN}, 400, "MEMBER_NOT_FOUND"),
        (eve, "update", {"data": {"name": "x"}}, 403, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION"),
        (eve, "set-active", {}, 403, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION"),
        (eve, "leave", {}, 400, "MEMBER_NOT_FOUND"),
        (ada, "create", {"name": "x", "slug": "x-y", "userId": eve.user["id"]}, 400, "VALIDATION_ERROR"),
    ):
        refused(caller.post(f"/organization/{call}", {**of, **body}), status, code)

    query = f"?organizationId={acme['id']}"
    refused(mel.get(f"/organization/list-invitations{query}"), 403, "YOU_ARE_NOT_ALLOWED_TO_LIST_INVITATIONS")
    refused(eve.get(f"/organization/list-members{query}"), 403, "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION")
    for stranger in (
        query,
        f"?organizationId={UNKNOWN}",
        f"?organizationSlug={acme['slug']}",
        "?organizationSlug=none",
    ):
        answer = eve.get(f"/organization/get-full-organization{stranger}")
        refused(answer, 403, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION")
    assert ok(mel.post("/organization/leave", of))["userId"] == mel.user["id"]


def test_no_answer_shows_a_token_or_digest_twice(person: Any) -> None:
    ada, bob = person("ada"), person("bob")
    acme = ada.found()
    token = ada.invites(acme, bob)["token"]

    for path in (
        f"/organizations/{acme['id']}/invitations",
        f"/organization/list-invitations?organizationId={acme['id']}",
        f"/organization/get-full-organization?organizationId={acme['id']}",
    ):
        shown = json.dumps(ok(ada.get(path)))
        assert token not in shown
        assert "digest" not in shown
