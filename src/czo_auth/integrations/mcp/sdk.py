"""The verifier of the official Python SDK."""

from __future__ import annotations

from dataclasses import asdict

from mcp.server.auth.provider import AccessToken, TokenVerifier

from czo_auth.integrations.mcp.credentials import CredentialVerifier


class SdkVerifier(TokenVerifier):
    """Lets the SDK's ``RequireAuthMiddleware`` decide by czo-auth's verification."""

    def __init__(self, verifier: CredentialVerifier) -> None:
        self._credential_verifier = verifier

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the rights of the credential, or None if it is not valid."""
        proved = await self._credential_verifier.verify(token)
        return None if proved is None else AccessToken(**asdict(proved))

    async def close(self) -> None:
        """Close the connections to a deployment elsewhere, if there are any."""
        await self._credential_verifier.close()
