"""Whose name mails carry."""

from __future__ import annotations

from typing import Any

import pytest

from czo_auth import Settings
from czo_auth.core.mail import read_sender
from czo_auth.runtime.mail import sender_of


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, ""),
        ({"brand_name": "Café"}, "Café"),
        ({"brand_name": 'The "A", \\ <B> shop'}, 'The "A", \\ <B> shop'),
        ({"brand_name": "Café", "mail_from": "Accounts <auth@example.com>"}, "Accounts"),
    ],
)
def test_sender_has_the_name_of_the_brand_unless_one_is_set(given: dict[str, Any], name: str) -> None:
    settings = Settings(**{"mail_from": "auth@example.com", **given})
    assert read_sender(sender_of(settings)) == (name, "auth@example.com")
