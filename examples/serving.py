"""How every example is served: czo-auth's own server, granian, on the address of the settings."""

from __future__ import annotations

from granian import Granian
from granian.constants import Interfaces

from czo_auth import Settings

WELCOME = """\
The shop listens on {url}

  everyone        curl {url}/
  sign up         curl -X POST {url}/api/auth/sign-up/email -H 'content-type: application/json' \\
                       -d '{{"name": "Bo", "email": "bo@shop.example", "password": "a long enough phrase"}}' -i
  with its token  curl {url}/orders -H 'authorization: Bearer czs_…'   (from the header set-auth-token)
  the API         {url}/api/auth/docs
"""


def serve(application: str, settings: Settings) -> None:
    """Serve *application* (``module:name``) until Ctrl-C."""
    print(WELCOME.format(url=settings.public_url), flush=True)
    Granian(
        application,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        log_level="warning",  # type: ignore[arg-type]
    ).serve()
