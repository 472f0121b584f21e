"""Who calls the organizations' routes over HTTP, and what is expected of each answer."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from tests.support.server import RunningServer

BASE = "/api/auth"
PASSWORD = "a rather long pass phrase"
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
UNKNOWN = "019c5655-f5c0-7864-9e86-91bece04073c"
NUMBERS = count(1)
"""For addresses and slugs that nobody else has."""


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
