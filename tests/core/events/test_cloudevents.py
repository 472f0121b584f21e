from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

from czo_auth.core.events.cloudevents import to_cloudevent
from czo_auth.core.events.types import Event

SOURCE = "https://auth.example.com"


def event(sequence: int = 7, user_id: str | None = "u1", at: datetime | None = None) -> Event:
    return Event(
        sequence=sequence,
        id="e1",
        type="auth.2fa.enabled",
        user_id=user_id,
        at=at or datetime(2026, 2, 13, 9, 30, 5, 999_999, tzinfo=UTC),
        data={"userId": user_id, "actorType": "admin"},
    )


def test_event_takes_the_form_of_the_specification() -> None:
    assert json.loads(json.dumps(to_cloudevent(event(), source=SOURCE))) == {
        "specversion": "1.0",
        "id": "e1",
        "source": SOURCE,
        "type": "auth.2fa.enabled",
        "subject": "u1",
        "time": "2026-02-13T09:30:05.999Z",
        "datacontenttype": "application/json",
        "sequence": "00000000000000000007",
        "data": {"userId": "u1", "actorType": "admin"},
    }


def test_event_that_concerns_nobody_has_no_subject() -> None:
    assert "subject" not in to_cloudevent(event(user_id=None), source=SOURCE)


def test_time_is_utc_with_three_digits_whatever_it_came_in() -> None:
    at = datetime(2026, 2, 13, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert to_cloudevent(event(at=at), source=SOURCE)["time"] == "2026-02-12T22:30:00.000Z"


def test_sequence_sorts_as_text() -> None:
    numbers = [9, 10, 99, 100, 2**63 - 1]
    texts = [str(to_cloudevent(event(sequence=number), source=SOURCE)["sequence"]) for number in numbers]
    assert texts == sorted(texts)
    assert [int(text) for text in texts] == numbers
