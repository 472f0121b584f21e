"""Secrets do not show when an object is logged: they are left out of `repr`."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import czo_auth.core

NAMES = {"password", "password_hash", "private_pem", "secret", "device_code", "handle", "totp_uri", "token"}
"""Fields that hold a secret wherever they are text or bytes, as does every name that ends in ``_token``."""
SECRETS = [
    ("crypto.codes", "BackupCode", "secret"),
    ("crypto.jwt", "SigningKey", "private_pem"),
    ("core.devices.authorization", "DeviceAuthorization", "sealed_key"),
    ("core.flows.api_keys.changes", "ApiKeyChanges", "password code"),
    ("core.flows.api_keys.new_key", "CreatedApiKey", "key"),
    ("core.flows.api_keys.report_leak", "LeakReport", "key"),
    ("core.flows.devices.authorize", "DeviceCodes", "device_code"),
    ("core.flows.devices.authorize", "FetchedKey", "key"),
    ("core.flows.organizations.two_factor", "Proof", "password code"),
    ("core.flows.passkeys.ceremonies", "Ceremony", "handle challenge"),
    ("core.flows.passkeys.register", "Registered", "backup_codes"),
    ("core.flows.sign_in.password", "Credentials", "password trusted_device known_browser"),
    ("core.flows.sign_in.password", "SecondFactorRequired", "challenge"),
    ("core.flows.sign_in.sign_up", "NewUser", "password"),
    ("core.flows.two_factor.enroll", "PendingEnrollment", "secret totp_uri backup_codes"),
    ("core.flows.two_factor.verify_code", "_Attempt", "secret"),
    ("core.flows.webhooks.manage", "CreatedWebhook", "secret"),
    ("core.mail", "MailDraft", "link token values"),
    ("core.mail", "MailMessage", "text html token"),
    ("core.sessions.session", "IssuedSession", "session_token refresh_token"),
    ("core.users.user", "User", "password_hash"),
]
"""Module, class, and the fields that must not show. Not everything of these names is a secret elsewhere."""


def shown(cls: type) -> str:
    """Return the representation of an instance whose fields all have the value ``<name>``."""
    # Made without `__init__`, which would refuse such values.
    made = object.__new__(cls)
    for each in dataclasses.fields(cls):
        object.__setattr__(made, each.name, f"<{each.name}>")
    return repr(made)


@pytest.mark.parametrize(("module", "name", "secrets"), SECRETS, ids=lambda text: text)
def test_secret_is_left_out_of_the_representation(module: str, name: str, secrets: str) -> None:
    cls = getattr(importlib.import_module(f"czo_auth.{module}"), name)
    text = shown(cls)
    assert "<" in text or len(dataclasses.fields(cls)) == len(secrets.split())
    assert [secret for secret in secrets.split() if f"<{secret}>" in text] == []


def dataclasses_of_core() -> Iterator[type]:
    for found in pkgutil.walk_packages(czo_auth.core.__path__, "czo_auth.core."):
        module = importlib.import_module(found.name)
        for cls in vars(module).values():
            if isinstance(cls, type) and dataclasses.is_dataclass(cls) and cls.__module__ == found.name:
                yield cls


def test_every_field_that_is_named_like_a_secret_is_left_out() -> None:
    shows = [
        f"{cls.__module__}.{cls.__qualname__}.{each.name}"
        for cls in dataclasses_of_core()
        for each in dataclasses.fields(cls)
        if each.repr
        and (each.name in NAMES or each.name.endswith("_token"))
        and str(each.type) in ("str", "bytes", "str | None", "bytes | None")
    ]
    assert shows == []
