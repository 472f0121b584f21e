"""The format in which events are delivered: CloudEvents 1.0, JSON."""

from __future__ import annotations

from datetime import UTC

from czo_auth.core.events.types import Event


def to_cloudevent(event: Event, *, source: str) -> dict[str, object]:
    """
    Return *event* as a CloudEvent in structured mode.

    ``id`` is the same at every delivery, and unique together with ``source``: receivers use it to drop duplicates.
    ``sequence`` is padded with zeros, because the extension requires a string that sorts lexicographically.

    Args:
        source: A URI reference that names this deployment, e.g. its base URL.

    Source: CloudEvents 1.0.2 section 3 and its ``sequence`` extension.
    """
    # An empty subject is not allowed; an event that concerns no user has none.
    subject = {} if event.user_id is None else {"subject": event.user_id}
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": source,
        "type": event.type,
        **subject,
        "time": event.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "sequence": f"{event.sequence:020d}",
        "data": dict(event.data),
    }
