"""Passkeys as they are stored: whose they are, and what a session says of them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from czo_auth.core.passkeys.passkey import Passkey, is_phishing_resistant, user_handle
from czo_auth.crypto import base64url

NOW = datetime(2026, 2, 13, 9, 30, tzinfo=UTC)
USER = "01900000-0000-7000-8000-00000000000a"
OTHER = "01900000-0000-7000-8000-00000000000b"


def a_passkey(
    *, handle: str | None = None, last_used_at: datetime | None = None, backup_eligible: bool = False
) -> Passkey:
    return Passkey(
        id="p1",
        user_id=USER,
        name=None,
        credential_id="AA",
        public_key="AA",
        sign_count=0,
        aaguid="00000000-0000-0000-0000-000000000000",
        backup_eligible=backup_eligible,
        backed_up=False,
        transports=(),
        rp_id="shop.example",
        created_at=NOW,
        last_used_at=last_used_at,
        user_handle=handle,
    )


def test_handle_of_a_user_is_the_16_bytes_of_the_id() -> None:
    assert user_handle(USER) == UUID(USER).bytes


def test_passkey_made_here_belongs_to_the_handle_of_its_user_only() -> None:
    assert a_passkey().belongs_to_handle(user_handle(USER))
    assert not a_passkey().belongs_to_handle(user_handle(OTHER))
    assert not a_passkey().belongs_to_handle(b"")


def test_imported_passkey_belongs_to_the_handle_that_came_with_it() -> None:
    imported = a_passkey(handle=base64url.encode(b"handle elsewhere"))
    assert imported.belongs_to_handle(b"handle elsewhere") is True
    for other in (user_handle(USER), b"", b"handle"):
        assert imported.belongs_to_handle(other) is False


def test_passkey_imported_without_its_handle_belongs_to_any() -> None:
    for handle in (user_handle(USER), user_handle(OTHER), b"anything"):
        assert a_passkey(handle="").belongs_to_handle(handle) is True


def test_unused_import_is_one_that_was_not_used_here() -> None:
    assert a_passkey(handle="").is_unused_import
    assert a_passkey(handle="AA").is_unused_import
    assert not a_passkey(handle="", last_used_at=NOW).is_unused_import
    assert not a_passkey().is_unused_import
    assert not a_passkey(last_used_at=NOW).is_unused_import


def test_kind_of_device_is_told_in_two_vocabularies() -> None:
    bound, synced = a_passkey(), a_passkey(backup_eligible=True)
    assert (bound.device_type, bound.method) == ("singleDevice", "hwk")
    assert (synced.device_type, synced.method) == ("multiDevice", "swk")


@pytest.mark.parametrize(
    ("aal", "amr", "is_resistant"),
    [
        (2, ("hwk", "user"), True),
        (2, ("swk",), True),
        (3, ("hwk",), True),
        (1, ("hwk",), False),
        (2, ("pwd", "otp"), False),
        (2, (), False),
    ],
)
def test_session_resists_phishing_when_a_passkey_proved_it(
    aal: int, amr: tuple[str, ...], is_resistant: bool
) -> None:
    assert is_phishing_resistant(aal=aal, amr=amr) is is_resistant
