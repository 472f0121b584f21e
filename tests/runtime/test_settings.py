"""What the settings keep to themselves."""

from __future__ import annotations

from czo_auth import Settings
from czo_auth.crypto.sealing import new_key_text

PASSWORD = "a-word-that-nobody-may-read"


def test_no_password_shows_in_what_is_printed() -> None:
    key = new_key_text()
    settings = Settings(
        encryption_key=key,  # type: ignore[arg-type]
        database_url=f"postgresql://czo:{PASSWORD}@db.example/czo",
        rate_limit_url=f"redis://:{PASSWORD}@redis.example:6379/0",
        smtp_url=f"smtp://czo:{PASSWORD}@mail.example:587",  # type: ignore[arg-type]
    )
    for printed in (repr(settings), str(settings), f"{settings}"):
        assert PASSWORD not in printed
        assert key not in printed
