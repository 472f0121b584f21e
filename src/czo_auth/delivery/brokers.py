"""Code shared by the sinks for message brokers."""

from __future__ import annotations

import json
from typing import Final

from czo_auth.core.events.cloudevents import to_cloudevent
from czo_auth.core.events.types import Event

CONTENT_TYPE: Final = "application/cloudevents+json"
"""Source: CloudEvents 1.0.2, structured mode."""
PUBLISH_SECONDS: Final = 10.0
"""How long a broker may take to confirm an event; less than the relay's own limit."""
CONNECT_SECONDS: Final = 5.0


def message_of(event: Event, *, source: str) -> bytes:
    """
    Write *event* as a CloudEvent.

    Raises:
        ValueError: It holds a value that JSON cannot represent.
    """
    cloudevent = to_cloudevent(event, source=source)
    return json.dumps(cloudevent, allow_nan=False, separators=(",", ":")).encode("ascii")
