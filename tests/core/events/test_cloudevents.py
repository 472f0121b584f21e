from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

from czo_auth.core.events.cloudevents import to_cloudevent
from tests.support.records import an_event

SOURCE = "https://auth.example.com"


def test_event_takes_the_form_of_the_specification() -> None:
    at = datetime(2026, 2, 13, 9, 30, 5, 999_999, tzinfo=UTC)
    event = an_event(7, type="auth.2fa.enabled", at=at, actorType="admin")
    assert json.loads(json.dumps(to_cloudevent(event, source=SOURCE))) == {
        "specversion": "1.0",
        "id": "event-7",
        "source": SOURCE,
        "type": "auth.2fa.enabled",
        "subject": "ada",
        "time": "2026-02-13T09:30:05.999Z",
        "datacontenttype": "application/json",
        "sequence": "00000000000000000007",
        "data": {"userId": "ada", "actorType": "admin"},
    }


def test_event_that_concerns_nobody_has_no_subject() -> None:
    assert "subject" not in to_cloudevent(an_event(user_id=None), source=SOURCE)


def test_time_is_utc_with_three_digits_whatever_it_came_in() -> None:
    at = datetime(2026, 2, 13, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert to_cloudevent(an_event(at=at), source=SOURCE)["time"] == "2026-02-12T22:30:00.000Z"


def test_sequence_sorts_as_text() -> None:
    numbers = [9, 10, 99, 100, 2**63 - 1]
    texts = [str(to_cloudevent(an_event(number), source=SOURCE)["sequence"]) for number in numbers]
    assert texts == sorted(texts)
    assert [int(text) for text in texts] == numbers
