"""``czo-auth webhooks``, and what a rotation of encryption keys does to the secrets of webhooks."""

from __future__ import annotations

import pytest

from czo_auth import Auth
from czo_auth.core.webhooks.webhook import WEBHOOK_SECRET, Webhook
from tests.cli.inside import Inside
from tests.cli.shell import Shell
from tests.webhooks.dispatching import WebhookSetup

URL = "https://hooks.example.com/a-path-that-is-a-secret"
UNKNOWN = "01983d2e-7c1a-7000-8000-3f1c2b6a9d10"


async def endpoint(auth: Auth) -> Webhook:
    return await WebhookSetup(auth).endpoint(URL)


def test_endpoints_are_listed_and_disabled(shell: Shell, inside: Inside) -> None:
    shell.create("ada@example.com")
    webhook = inside.run(endpoint)
    table = shell.run("webhooks", "list").stdout
    assert table.splitlines()[0].startswith("id\torganization\thost\t")
    assert "hooks.example.com" in table
    assert "a-path" not in table
    (listed,) = shell.json("webhooks", "list")
    assert (listed["id"], listed["url"], listed["enabled"]) == (webhook.id, URL, True)
    assert "secret" not in listed
    done = shell.run("webhooks", "disable", webhook.id)
    assert done.stdout == f"disabled {webhook.id} (hooks.example.com)\n"
    (listed,) = shell.json("webhooks", "list")
    assert (listed["enabled"], listed["disabledReason"]) == (False, "operator")
    (record,) = [each for each in shell.json("audit", "tail") if each["action"] == "auth.webhook.disabled"]
    assert record["details"] == {"webhookId": webhook.id, "host": "hooks.example.com"}
    for unknown in (UNKNOWN, "x"):
        assert "no webhook endpoint" in shell.run("webhooks", "disable", unknown, code=1).stderr


@pytest.mark.deep
def test_rotation_moves_the_secrets_of_webhooks(shell: Shell, inside: Inside) -> None:
    shell.create("ada@example.com")
    inside.run(endpoint)
    old = (inside.data / "encryption.key").read_text().strip()
    inside.key = f"{shell.run('keys', 'generate').stdout.strip()},{old}"
    shell.env["AUTH_ENCRYPTION_KEY"] = inside.key
    first, second = shell.json("keys", "status")
    assert (first["webhookSecrets"], second["webhookSecrets"]) == (0, 1)
    shell.run("keys", "rotate")
    first, second = shell.json("keys", "status")
    assert (first["webhookSecrets"], second["webhookSecrets"], second["total"]) == (1, 0, 0)

    async def opened(auth: Auth) -> bytes:
        (secret,) = await auth.services.transactions.read(lambda tx: tx.webhooks.sealed_after("", limit=9))
        bound_to = {"webhook": secret.webhook_id, "secret": secret.id}
        return auth.services.key_ring.open(secret.sealed_secret, purpose=WEBHOOK_SECRET, bound_to=bound_to)

    assert inside.run(opened) == b"x" * 32
