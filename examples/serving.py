"""How every example is served: czo-auth's own server, granian, on the address of the settings."""

from __future__ import annotations

import socket

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
    _check_free(settings.host, settings.port)
    print(WELCOME.format(url=settings.public_url), flush=True)
    Granian(
        application,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        log_level="warning",  # type: ignore[arg-type]
    ).serve()


def _check_free(host: str, port: int) -> None:
    """End with a sentence when somebody listens there: granian would share the port, and each get half the requests."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SystemExit(
                f"{host} port {port}: {error.strerror}. CZO_AUTH_PORT=… chooses another."
            ) from None
