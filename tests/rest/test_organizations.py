"""Organizations and invitations over HTTP: shapes, codes, and who may not come in."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from itertools import count
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from czo_auth.rest import invitations, organizations
from czo_auth.rest.better_auth import organization as better_auth
from tests.support.server import RunningServer

BASE = "/api/auth"
PASSWORD = "a rather long pass phrase"
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
UNKNOWN = "019c5655-f5c0-7864-9e86-91bece04073c"
NUMBERS = count(1)
ROUTES = [
    route
    for module in (organizations, invitations, better_auth)
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(
        tmp_path_factory.mktemp("organizations"), env={"CZO_AUTH_RATE_LIMIT_ENABLED": "false"}
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        # Several people share the client: a cookie jar would mix them up.
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        yield client


@dataclass
class Caller:
    """Somebody, or a machine, with a Bearer credential."""

    http: httpx.Client
    bearer: str | None = field(default=None, repr=False)
    user: dict[str, Any] = field(default_factory=dict)

    def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {} if self.bearer is None else {"authorization": f"Bearer {self.bearer}"}
        return self.http.request(method, BASE + path, json=body, headers=headers)

    def get(self, path: str) -> httpx.Response:
        return self.call("GET", path)

    def post(self, path: str, body: object = None) -> httpx.Response:
        return self.call("POST", path, {} if body is None else body)

    def key(self, organization_id: str | None = None) -> Caller:
        body = {"name": "key", **({"organizationId": organization_id} if organization_id else {})}
        created = ok(self.post("/api-keys", body), 201)
        return Caller(self.http, created["apiKey"]["key"])

    def found(self, name: str = "Acme", **more: object) -> Any:
        return ok(self.post("/organizations", {"name": name, **more}), 201)["organization"]

    def invites(self, organization: Any, who: Caller, role: str = "member") -> Any:
        path = f"/organizations/{organization['id']}/invitations"
        return ok(self.post(path, {"email": who.user["email"], "role": role}), 201)

    def brings(self, organization: Any, who: Caller, role: str = "member") -> Any:
        token = self.invites(organization, who, role)["token"]
        return ok(who.post("/invitations/accept", {"token": token}))["member"]


def ok(response: httpx.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    assert response.headers["cache-control"] == "no-store"
    return response.json() if response.content else None


def refused(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.json()["status"] == status


def confirm(server: RunningServer, who: Caller) -> None:
    """Mark the address of *who* as confirmed."""
    with (
        closing(sqlite3.connect(server.data_directory / "czo-auth.db", timeout=10)) as connection,
        connection,
    ):
        connection.execute("UPDATE czo_auth_users SET email_verified = 1 WHERE id = ?", (who.user["id"],))


@pytest.fixture
def person(http: httpx.Client) -> Any:
    """Sign somebody up and in."""

    def settle(name: str) -> Caller:
        email = f"{name}-{next(NUMBERS)}@example.com"
        account = {"email": email, "password": PASSWORD, "name": name}
        anonymous = Caller(http)
        ok(anonymous.post("/customer/sign-up", account), 201)
        entered = ok(anonymous.post("/customer/sign-in/email", {"email": email, "password": PASSWORD}))
        return Caller(http, entered["accessToken"], entered["user"])

    return settle


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


# --- better-auth's client --------------------------------------------------------------------------------------------
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
