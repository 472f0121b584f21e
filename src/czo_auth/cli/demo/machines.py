"""The parts about machines: an API key from creation to revocation, and a key of an organization."""

from __future__ import annotations

from typing import Final

from czo_auth.cli.demo.client import same
from czo_auth.cli.demo.printer import Mismatch
from czo_auth.cli.demo.users import DemoRun, Person, sign_in

_LAST_USED_SECONDS: Final = 20.0


def api_key(demo_run: DemoRun, ada: Person) -> None:
    """Create, use, list and revoke an API key."""
    demo_run.printer.heading("Ada gives a machine an API key")
    ask = demo_run.client.ask
    created = ask(
        "creates a key, shown only this once",
        "POST",
        "/api-keys",
        bearer=ada.bearer,
        body={"name": "nightly export", "scopes": ["orders:read"], "expiresIn": 86400},
        status=201,
        has={"apiKey.scopes": ["orders:read"], "apiKey.enabled": True},
        tell=lambda answer: f"key {demo_run.printer.secret(answer['apiKey']['key'])}, orders:read, for a day",
    )["apiKey"]
    key, key_id = created["key"], created["id"]
    same("prefix", key[:8], created["prefix"])
    same("key begins with", demo_run.settings.api_key_prefix, key[: len(demo_run.settings.api_key_prefix)])
    ask(
        "the machine uses it with REST",
        "GET",
        "/whoami",
        bearer=key,
        status=200,
        has={"kind": "api_key", "scopes": ["orders:read"], "apiKeyId": key_id},
        tell=lambda answer: f"kind: api_key, scopes: {', '.join(answer['scopes'])}",
    )
    ask(
        "and with GraphQL",
        "POST",
        "//graphql",
        bearer=key,
        body={"query": "{ me { email } }"},
        status=200,
        has={"data.me.email": ada.email},
    )
    ask(
        "but cannot create more keys",
        "POST",
        "/api-keys",
        bearer=key,
        body={"name": "more"},
        status=403,
        code="SESSION_REQUIRED",
    )
    query = "{ myApiKeys { id name prefix scopes lastUsedAt } }"
    ask(
        "Ada lists her keys: only prefixes",
        "POST",
        "//graphql",
        bearer=ada.bearer,
        body={"query": query},
        status=200,
        has={"data.myApiKeys.0.prefix": key[:8], "data.myApiKeys.0.id": key_id},
        lacks=("errors", "data.myApiKeys.1"),
        tell=lambda answer: (
            "myApiKeys: " + ", ".join(f"{k['prefix']}… “{k['name']}”" for k in answer["data"]["myApiKeys"])
        ),
    )
    ask(
        "and through REST",
        "GET",
        "/api-keys",
        bearer=ada.bearer,
        status=200,
        has={"total": 1, "apiKeys.0.prefix": key[:8]},
        lacks=("apiKeys.0.key",),
    )
    ask("revokes it", "DELETE", f"/api-keys/{key_id}", bearer=ada.bearer, status=204)
    ask("the machine is refused", "GET", "/whoami", bearer=key, status=401, code="INVALID_API_KEY")
    ask(
        "with GraphQL too",
        "POST",
        "//graphql",
        bearer=key,
        body={"query": "{ me { email } }"},
        status=401,
        code="INVALID_API_KEY",
    )


def organization(demo_run: DemoRun, mia: Person, *, stranger: Person) -> None:
    """Create a key that acts in one organization; a user outside of it cannot create one."""
    demo_run.printer.heading("Mia, a merchant, has an organization and a key for it")
    ask = demo_run.client.ask
    answer = ask(
        "signs up with an organization",
        "POST",
        "/merchant/sign-up",
        body={**mia.credentials, "name": mia.name, "organizationName": "Mia’s Shop"},
        status=201,
        has={"user.email": mia.email, "organization.name": "Mia’s Shop"},
    )
    mia.id, organization = answer["user"]["id"], answer["organization"]["id"]
    sign_in(demo_run, mia, "signs in")
    created = ask(
        "creates a key for that organization only",
        "POST",
        "/api-keys",
        bearer=mia.bearer,
        body={"name": "till", "organizationId": organization, "scopes": ["stock:read"]},
        status=201,
        has={"apiKey.organizationId": organization},
        tell=lambda answer: f"key {demo_run.printer.secret(answer['apiKey']['key'])} of Mia’s Shop",
    )["apiKey"]
    ask(
        "the till uses it",
        "GET",
        "/whoami",
        bearer=created["key"],
        status=200,
        has={"kind": "api_key", "organizationId": organization},
        tell=lambda answer: "kind: api_key, in Mia’s Shop",
    )
    ask(
        "Ada cannot create one for it",
        "POST",
        "/api-keys",
        bearer=stranger.bearer,
        body={"name": "sly", "organizationId": organization},
        status=403,
        code="USER_NOT_MEMBER_OF_ORGANIZATION",
    )
    _check_last_use(demo_run, mia, created["id"])


def _check_last_use(demo_run: DemoRun, mia: Person, key_id: str) -> None:
    """Check the time of last use, which is written in batches in the background: it is visible after some seconds."""
    demo_run.printer.wait_until(
        "the time of last use is written every few seconds",
        lambda: (
            demo_run.client.peek(f"/api-keys/{key_id}", mia.bearer).get("apiKey", {}).get("lastUsedAt")
            is not None
        ),
        seconds=_LAST_USED_SECONDS,
    )
    answer = demo_run.client.ask(
        "sees when it was last used",
        "GET",
        f"/api-keys/{key_id}",
        bearer=mia.bearer,
        status=200,
        tell=lambda answer: f"lastUsedAt: {answer['apiKey']['lastUsedAt']}",
    )
    if answer["apiKey"]["lastUsedAt"] is None:
        raise Mismatch("lastUsedAt: a time", "null")
