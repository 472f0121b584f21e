"""Chromium's virtual authenticator. Without a browser, `tests.support.authenticator` does the same in software."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import CDPSession, Page


class VirtualAuthenticator:
    """An authenticator inside Chromium, which does what a person would do."""

    def __init__(self, page: Page) -> None:
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        added = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self._id = added["authenticatorId"]

    def credentials(self) -> list[dict[str, Any]]:
        found = self._session.send("WebAuthn.getCredentials", {"authenticatorId": self._id})
        credentials: list[dict[str, Any]] = found["credentials"]
        return credentials

    def touches(self, *, itself: bool) -> None:
        """Say whether the person touches the authenticator from now on, whenever it asks."""
        self._session.send(
            "WebAuthn.setAutomaticPresenceSimulation", {"authenticatorId": self._id, "enabled": itself}
        )

    def verifies(self, *, user: bool) -> None:
        """Say whether the person's finger is recognized from now on."""
        self._session.send("WebAuthn.setUserVerified", {"authenticatorId": self._id, "isUserVerified": user})
