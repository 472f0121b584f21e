"""Organizations and invitations over HTTP: shapes, codes, and who may not come in."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from czo_auth.rest import invitations, organizations
from czo_auth.rest.better_auth import invitation as client_invitation
from czo_auth.rest.better_auth import member as client_member
from czo_auth.rest.better_auth import organization as client_organization
from tests.rest.callers import TIME, UNKNOWN, Caller, ok, refused

ROUTES = [
    route
    for module in (organizations, invitations, client_organization, client_member, client_invitation)
    for route in module.routes.router.routes
    if isinstance(route, APIRoute)
]
READS = {
    ("GET", "/organizations"),
    ("GET", "/organizations/{organization_id}"),
    ("GET", "/organizations/{organization_id}/members"),
    ("GET", "/organization/list"),
    ("GET", "/organization/get-organization"),
    ("GET", "/organization/get-full-organization"),
    ("GET", "/organization/list-members"),
    ("GET", "/organization/get-active-member"),
    ("GET", "/organization/get-active-member-role"),
}
"""What an API key may call; everything else needs a session."""


# --- native ----------------------------------------------------------------------------------------------------------
def test_life_of_an_organization(person: Any) -> None:
    ada = person("ada")

    made = ada.found("Acme", slug="acme-life", metadata={"tier": "gold"})
    assert set(made) == {"id", "name", "slug", "logo", "metadata", "role", "createdAt", "updatedAt"} | {
        "apiKeyMaxDays",
        "apiKeyUnusedDays",
        "requireTwoFactorFrom",
        "twoFactorGraceDays",
    }
    assert (made["requireTwoFactorFrom"], made["twoFactorGraceDays"]) == (None, 0)
    assert (made["name"], made["slug"], made["role"], made["logo"]) == ("Acme", "acme-life", "owner", None)
    assert made["metadata"] == {"tier": "gold"}
    assert TIME.fullmatch(made["createdAt"])
    assert ok(ada.get("/organizations")) == {"organizations": [made], "total": 1, "nextCursor": None}
    path = f"/organizations/{made['id']}"
    assert ok(ada.get(path)) == {"organization": made}

    changed = ok(ada.call("PATCH", path, {"name": "Acme 2", "metadata": None}))["organization"]
    assert (changed["name"], changed["slug"], changed["metadata"]) == ("Acme 2", "acme-life", None)

    assert ok(ada.post(f"{path}/activate"))["organization"]["id"] == made["id"]
    assert ok(ada.get("/session"))["session"]["organizationId"] == made["id"]
    assert ok(ada.get("/whoami"))["organizationId"] == made["id"]

    ok(ada.call("DELETE", path), 204)
    refused(ada.call("DELETE", path), 404, "NOT_FOUND")
    assert ok(ada.get("/organizations")) == {"organizations": [], "total": 0, "nextCursor": None}
    assert ok(ada.get("/whoami"))["organizationId"] is None


def test_members_and_their_roles(person: Any) -> None:
    ada, bob, eve = person("ada"), person("bob"), person("eve")
    acme = ada.found()
    members = f"/organizations/{acme['id']}/members"
    member = ada.brings(acme, bob, "admin")

    assert set(member) == {"id", "organizationId", "userId", "role", "user", "name", "email", "createdAt"}
    assert member["user"] == {name: bob.user[name] for name in ("id", "name", "email", "image")}
    assert (member["organizationId"], member["userId"], member["role"]) == (
        acme["id"],
        bob.user["id"],
        "admin",
    )
    listed = ok(bob.get(members))
    assert (listed["total"], listed["members"][1]) == (2, member)

    owner, own = f"{members}/{ada.user['id']}", f"{members}/{bob.user['id']}"
    refused(bob.call("PATCH", owner, {"role": "member"}), 403, "FORBIDDEN")
    refused(bob.call("PATCH", own, {"role": "owner"}), 403, "FORBIDDEN")
    refused(bob.call("DELETE", owner), 403, "FORBIDDEN")
    refused(ada.call("PATCH", owner, {"role": "admin"}), 409, "LAST_OWNER")
    refused(ada.call("DELETE", owner), 409, "LAST_OWNER")
    refused(ada.call("PATCH", own, {"role": "emperor"}), 400, "VALIDATION_ERROR")
    refused(ada.call("DELETE", f"{members}/{eve.user['id']}"), 404, "NOT_FOUND")

    assert ok(ada.call("PATCH", own, {"role": "viewer"}))["member"] == {**member, "role": "viewer"}
    refused(bob.get(members), 403, "FORBIDDEN")
    ok(bob.call("DELETE", own), 204)
    refused(bob.get(f"/organizations/{acme['id']}"), 404, "NOT_FOUND")


def test_what_is_not_yours_has_the_body_of_what_does_not_exist(person: Any) -> None:
    ada, bob, eve = person("ada"), person("bob"), person("eve")
    acme = ada.found()
    invitation = ada.invites(acme, bob)["invitation"]

    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("POST", "/activate", {}),
        ("GET", "/members", None),
        ("PATCH", f"/members/{ada.user['id']}", {"role": "viewer"}),
        ("DELETE", f"/members/{ada.user['id']}", None),
        ("GET", "/invitations", None),
        ("POST", "/invitations", {"email": "x@example.com", "role": "member"}),
        ("DELETE", f"/invitations/{invitation['id']}", None),
    ):
        answers = [
            eve.call(method, f"/organizations/{of}{path}", body) for of in (acme["id"], UNKNOWN, "not-an-id")
        ]
        refused(answers[0], 404, "NOT_FOUND")
        assert answers[0].content == answers[1].content == answers[2].content


def test_invitation_from_mail_to_membership(person: Any) -> None:
    ada, bob, eve = person("ada"), person("bob"), person("eve")
    acme = ada.found()
    path = f"/organizations/{acme['id']}/invitations"

    sent = ok(ada.post(path, {"email": bob.user["email"].upper(), "role": "admin"}), 201)

    invitation = sent["invitation"]
    assert set(sent) == {"invitation", "token"}
    assert re.fullmatch(r"czi_[A-Za-z0-9_-]{43}", sent["token"])
    assert {"id", "organizationId", "email", "role", "status", "expiresAt", "createdAt"} <= set(invitation)
    assert (invitation["email"], invitation["status"]) == (bob.user["email"], "pending")
    assert TIME.fullmatch(invitation["expiresAt"])
    assert ok(ada.get(path)) == {"invitations": [invitation], "total": 1, "nextCursor": None}
    again = {"email": bob.user["email"], "role": "member"}
    refused(ada.post(path, again), 409, "USER_IS_ALREADY_INVITED_TO_THIS_ORGANIZATION")

    token = {"token": sent["token"]}
    refused(eve.post("/invitations/accept", token), 403, "YOU_ARE_NOT_THE_RECIPIENT_OF_THE_INVITATION")
    accepted = ok(bob.post("/invitations/accept", token))
    assert set(accepted) == {"organization", "member"}
    assert accepted["organization"] == {**acme, "role": "admin"}
    assert (accepted["member"]["userId"], accepted["member"]["role"]) == (bob.user["id"], "admin")
    refused(bob.post("/invitations/accept", token), 400, "INVITATION_NOT_FOUND")
    refused(ada.post(path, again), 409, "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION")
    refused(bob.post(path, {"email": eve.user["email"], "role": "owner"}), 403, "FORBIDDEN")

    withdrawn = ok(ada.post(path, {"email": eve.user["email"], "role": "member"}), 201)
    ok(ada.call("DELETE", f"{path}/{withdrawn['invitation']['id']}"), 204)
    refused(ada.call("DELETE", f"{path}/{withdrawn['invitation']['id']}"), 404, "NOT_FOUND")
    refused(eve.post("/invitations/accept", {"token": withdrawn["token"]}), 400, "INVITATION_NOT_FOUND")
    for odd in ("czi_", "x", "czi_" + "A" * 43):
        refused(eve.post("/invitations/accept", {"token": odd}), 400, "INVITATION_NOT_FOUND")


def test_taken_slug_is_a_conflict(person: Any) -> None:
    ada = person("ada")
    ada.found("One", slug="taken-once")
    other = ada.found("Two")

    refused(
        ada.post("/organizations", {"name": "x", "slug": "taken-once"}),
        409,
        "ORGANIZATION_SLUG_ALREADY_TAKEN",
    )
    path = f"/organizations/{other['id']}"
    refused(ada.call("PATCH", path, {"slug": "taken-once"}), 409, "ORGANIZATION_SLUG_ALREADY_TAKEN")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "   "},
        {"name": 7},
        {"name": "x" * 201},
        {"name": "x", "slug": "Not A Slug"},
        {"name": "x", "metadata": {"x": "y" * 4100}},
        {"name": "x", "logo": "y" * 2049},
        {"name": "x", "userId": UNKNOWN},
        {"name": "x", "unknown": 1},
    ],
)
def test_odd_bodies_are_refused(person: Any, body: object) -> None:
    refused(person("ada").post("/organizations", body), 400, "VALIDATION_ERROR")


# --- who may come in -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation_id)
def test_nobody_comes_in_without_a_credential(http: httpx.Client, route: APIRoute) -> None:
    method = min(route.methods or ())
    path = re.sub(r"{[a-z_]+}", UNKNOWN, route.path)

    answer = Caller(http).call(method, path, None if method in ("GET", "DELETE") else {})

    refused(answer, 401, "UNAUTHORIZED")


def test_api_key_reads_and_does_nothing_else(person: Any) -> None:
    ada = person("ada")
    acme = ada.found()
    ok(ada.post(f"/organizations/{acme['id']}/activate"))

    for machine in (ada.key(acme["id"]), ada.key()):
        for route in ROUTES:
            method = min(route.methods or ())
            path = route.path.replace("{organization_id}", acme["id"]).replace("{user_id}", ada.user["id"])
            answer = machine.call(
                method, path.replace("{invitation_id}", UNKNOWN), None if method in ("GET", "DELETE") else {}
            )
            if (method, route.path) in READS:
                assert answer.status_code in (200, 400), (route.path, answer.text)
                assert answer.status_code == 200 or answer.json()["code"] == "NO_ACTIVE_ORGANIZATION"
            else:
                refused(answer, 403, "SESSION_REQUIRED")
    assert ok(ada.get(f"/organizations/{acme['id']}"))["organization"]["name"] == "Acme"


def test_scoped_key_sees_one_organization_and_unscoped_ones_all(person: Any) -> None:
    ada, bob = person("ada"), person("bob")
    acme, other, foreign = ada.found("Acme"), ada.found("Other"), bob.found("Foreign")
    scoped, unscoped = ada.key(acme["id"]), ada.key()

    assert ok(scoped.get("/organizations")) == {"organizations": [acme], "total": 1, "nextCursor": None}
    assert ok(unscoped.get("/organizations"))["total"] == 2
    assert ok(scoped.get(f"/organizations/{acme['id']}")) == {"organization": acme}
    assert ok(scoped.get("/organization/get-active-member-role")) == {"role": "owner"}
    for path in ("", "/members"):
        refused(scoped.get(f"/organizations/{other['id']}{path}"), 403, "ORGANIZATION_SCOPE_MISMATCH")
        refused(scoped.get(f"/organizations/{foreign['id']}{path}"), 404, "NOT_FOUND")
        ok(unscoped.get(f"/organizations/{other['id']}{path}"))
        refused(unscoped.get(f"/organizations/{foreign['id']}{path}"), 404, "NOT_FOUND")


def test_removal_stops_the_key_at_the_next_request(person: Any) -> None:
    ada, bob = person("ada"), person("bob")
    acme = ada.found()
    ada.brings(acme, bob, "admin")
    machine = bob.key(acme["id"])
    ok(machine.get("/whoami"))

    path = f"/organizations/{acme['id']}/members/{bob.user['id']}"
    ok(ada.call("DELETE", path, {"confirm": True}), 204)

    refused(machine.get("/whoami"), 401, "INVALID_API_KEY")
    ada.brings(acme, bob, "admin")
    refused(machine.get("/whoami"), 401, "INVALID_API_KEY")
    assert ok(bob.get("/api-keys"))["total"] == 0
