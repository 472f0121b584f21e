"""The numbers of API keys, and the farthest day that one may end on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from czo_auth.core.api_keys.key import ApiKeyPolicy, OwnedApiKey, rate_limit_of
from czo_auth.core.throttle import RateLimit
from tests.support.records import a_key

NOW = datetime(2026, 2, 13, 9, 30, tzinfo=UTC)
KEY = a_key("u1", now=NOW)


def test_numbers_are_those_of_the_contract() -> None:
    policy = ApiKeyPolicy()
    assert policy.prefix == "czo_"
    assert policy.limit == 100
    assert policy.longest_years == 10
    assert policy.longest_overlap == timedelta(days=1)
    assert policy.when_leaked == "revoke"
    assert policy.records_addresses is True


def test_key_of_a_leap_day_may_end_on_the_first_of_march() -> None:
    made = datetime(2028, 2, 29, 12, 30, tzinfo=UTC)
    assert ApiKeyPolicy().farthest_end(made) == datetime(2038, 3, 1, 12, 30, tzinfo=UTC)
    assert ApiKeyPolicy(longest_years=4).farthest_end(made) == datetime(2032, 2, 29, 12, 30, tzinfo=UTC)


def test_limit_is_there_when_both_of_its_columns_are() -> None:
    assert rate_limit_of(5, 60) == RateLimit(requests=5, window_seconds=60)
    assert rate_limit_of(None, 60) is None
    assert rate_limit_of(5, None) is None
    assert rate_limit_of(None, None) is None


def test_key_has_the_limit_that_its_columns_say() -> None:
    assert KEY.rate_limit is None
    limited = replace(KEY, rate_limit_max=5, rate_limit_window_seconds=60)
    assert limited.rate_limit == RateLimit(requests=5, window_seconds=60)


def test_owner_is_a_user_or_a_service_account() -> None:
    owned = OwnedApiKey(key=KEY, owner_email="ada@example.com", owner_name="Ada")
    assert (KEY.owner_id, owned.owner_kind) == ("u1", "user")
    machine = replace(KEY, user_id=None, service_account_id="s1")
    owned = OwnedApiKey(key=machine, owner_email=None, owner_name="deploy")
    assert (machine.owner_id, owned.owner_kind) == ("s1", "service_account")


def test_new_key_was_not_used_yet() -> None:
    assert (KEY.use_count, KEY.last_used_at) == (0, None)
