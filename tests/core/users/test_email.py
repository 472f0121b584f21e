"""Addresses: one form to compare, one to deliver to."""

from __future__ import annotations

import pytest

from czo_auth.core.users.email import canonical_email, deliverable_email, folded_email, may_be_folded


@pytest.mark.parametrize(
    ("typed", "compared", "delivered"),
    [
        ("Ada.Lovelace@Example.COM", "ada.lovelace@example.com", "Ada.Lovelace@example.com"),
        ("groß@example.com", "groß@example.com", "groß@example.com"),
        ("GROSS@example.com", "gross@example.com", "GROSS@example.com"),
        ("Ada@BÜCHER.example", "ada@xn--bcher-kva.example", "Ada@xn--bcher-kva.example"),
        ("zoe\u0301@example.com", "zoé@example.com", "zoé@example.com"),
        ("ΣΟΦΟΣ@example.com", "σοφος@example.com", "ΣΟΦΟΣ@example.com"),
        ("ﬁn@example.com", "ﬁn@example.com", "ﬁn@example.com"),
    ],
)
def test_comparing_is_in_lower_case_and_delivery_as_typed(typed: str, compared: str, delivered: str) -> None:
    assert canonical_email(typed) == compared
    assert canonical_email(compared) == compared
    assert deliverable_email(typed) == delivered
    assert canonical_email(delivered) == compared


@pytest.mark.parametrize(("one", "other"), [("groß", "gross"), ("ﬁn", "fin"), ("maſs", "mass"), ("µ", "μ")])
def test_addresses_that_fold_into_one_another_stay_two(one: str, other: str) -> None:
    assert canonical_email(f"{one}@example.com") != canonical_email(f"{other}@example.com")
    assert folded_email(f"{one}@example.com") == folded_email(f"{other}@example.com")


def test_only_what_folding_may_have_made_is_listed() -> None:
    for email in ("gross@example.de", "weiss@example.ch", "grossé@example.com"):
        assert may_be_folded(email)
    for email in ("jess@example.com", "ada@example.de", "zoé@example.com"):
        assert not may_be_folded(email)
