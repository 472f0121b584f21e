"""FastAPI: the dependency behind ``Auth.require``."""

from __future__ import annotations

from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from czo_auth.core.principal import Principal
from czo_auth.integrations.requirement import Requirement
from czo_auth.integrations.starlette import demand


class RequirePrincipal(SecurityBase):
    """
    Passes the principal to a route, and refuses callers that do not meet the requirement. HTTP and WebSocket.

    FastAPI sees a security scheme in it, so the host's OpenAPI document says which routes need a credential.
    """

    def __init__(self, requirement: Requirement) -> None:
        self._requirement = requirement
        self.model = HTTPBearer(
            description="An API key, an access token or a session token. Browsers send the session cookie instead."
        )
        self.scheme_name = "czo-auth"

    async def __call__(self, connection: HTTPConnection) -> Principal:
        return await demand(self._requirement, connection)
