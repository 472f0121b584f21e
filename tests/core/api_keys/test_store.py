"""Filters of the keys of an organization."""

from __future__ import annotations

from czo_auth.core.api_keys.store import NO_FILTER, KeyFilter


def test_filter_without_conditions_leaves_no_key_out() -> None:
    everything = KeyFilter(
        owner=None, created_by=None, unused_since=None, of_service_accounts=False, unexpired=False
    )
    assert KeyFilter() == NO_FILTER == everything
