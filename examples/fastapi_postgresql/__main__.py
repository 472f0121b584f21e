"""``python -m examples.fastapi_postgresql``"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from granian import Granian
from granian.constants import Interfaces

from czo_auth import Auth, Settings
from czo_auth.crypto.sealing import new_key_text
from examples.serving import WELCOME

WORKERS = 4
FOLDER = Path(os.environ.get("CZO_AUTH_DATA_DIR", ".czo-auth/fastapi_postgresql"))


def own_key() -> str:
    """Read the encryption key of this example, or make one; a real deployment has it from its secret store."""
    file = FOLDER / "encryption.key"
    if not file.exists():
        FOLDER.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(0o600)
        file.write_text(new_key_text() + "\n")
    return file.read_text().strip()


async def migrate() -> None:
    """Bring the tables up to date once, before four processes look at them."""
    auth = Auth(Settings())
    await auth.open()
    await auth.stop()


def main() -> None:
    """Serve until Ctrl-C."""
    if not os.environ.get("CZO_AUTH_DATABASE_URL"):
        raise SystemExit(
            "CZO_AUTH_DATABASE_URL is missing: name an empty database, postgresql://user@host/name"
        )
    os.environ.setdefault("AUTH_ENCRYPTION_KEY", own_key())
    asyncio.run(migrate())
    settings = Settings()
    print(WELCOME.format(url=settings.public_url), flush=True)
    Granian(
        "examples.fastapi_postgresql.app:app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=WORKERS,
        log_level="warning",  # type: ignore[arg-type]
    ).serve()


if __name__ == "__main__":
    main()
