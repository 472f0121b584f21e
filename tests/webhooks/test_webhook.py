"""Which events an endpoint receives, whatever an event's data says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from czo_auth.core.events.types import EVENT_TYPES, Event
from czo_auth.core.webhooks.webhook import Webhook, WebhookPolicy, family_of, matches
from czo_auth.settings import Settings
from tests.support.records import a_webhook, an_event

NOW = datetime(2026, 2, 13, 9, 30, tzinfo=UTC)


def endpoint(organization_id: str | None, *events: str) -> Webhook:
    return a_webhook(organization_id=organization_id, events=events or ("*",))


def event(type_: str, organization_id: str | None = "o1") -> Event:
    return an_event(type=type_, organizationId=organization_id)


@pytest.mark.parametrize("type_", sorted(EVENT_TYPES))
def test_organization_receives_nothing_of_a_person_even_where_it_is_named(type_: str) -> None:
    may_receive = family_of(type_) in {"apikey", "org", "role", "service_account"}
    assert endpoint("o1", "*", type_).wants(event(type_)) is may_receive
    assert endpoint(None).wants(event(type_))


@pytest.mark.parametrize("of", [None, "o2"])
def test_organization_receives_nothing_of_another_one_or_of_none(of: str | None) -> None:
    assert endpoint("o1").wants(event("auth.apikey.created"))
    assert not endpoint("o1").wants(event("auth.apikey.created", of))
    assert endpoint(None).wants(event("auth.apikey.created", of))


def test_endpoint_receives_what_its_patterns_name() -> None:
    one = endpoint(None, "auth.apikey.*", "auth.org.created")
    types = {type_ for type_ in EVENT_TYPES if one.wants(event(type_))}
    assert types == {each for each in EVENT_TYPES if family_of(each) == "apikey"} | {"auth.org.created"}


def test_group_ends_at_its_dot() -> None:
    assert matches("auth.org.*", "auth.org.created")
    assert not matches("auth.org.*", "auth.organization.created")


def test_ten_attempts_are_spread_over_28_hours_each_pause_within_a_tenth() -> None:
    numbers = WebhookPolicy()
    seconds = Settings.model_fields["webhook_retry_seconds"].default
    assert numbers.pauses == tuple(timedelta(seconds=each) for each in seconds)
    assert len(numbers.pauses) == 9
    assert timedelta(hours=27) < sum(numbers.pauses, timedelta()) < timedelta(hours=28)
    for attempts, whole in enumerate(numbers.pauses, start=1):
        pauses = [numbers.pause_after(attempts) or timedelta() for _ in range(50)]
        assert 0.9 * whole <= min(pauses) < 0.97 * whole
        assert 1.03 * whole < max(pauses) <= 1.1 * whole
    assert numbers.pause_after(10) is None
