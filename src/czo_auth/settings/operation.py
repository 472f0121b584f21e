"""Settings of operation: retention of the audit log, interfaces, metrics and logs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from czo_auth.settings.database import DatabaseSettings
from czo_auth.settings.group import MountPath


class OperationSettings(DatabaseSettings):
    """What is kept, which interfaces are served, and how the server logs."""

    # what is kept
    audit_retention_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="How long audit records are kept; older ones are deleted in batches, and the log records how far."
        " Forever by default. Unit: days.",
    )
    audit_address_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="How long audit records keep the actor's address and browser; as long as the record by default. "
        "Unit: days.",
    )

    # interfaces
    api_docs: bool | None = Field(
        default=None,
        description="Whether `/openapi.json` and `/docs` are served; by default outside production.",
    )
    graphql_introspection: bool | None = Field(
        default=None,
        description="Whether GraphQL introspection and suggestions are on; by default outside production.",
    )
    pages_enabled: bool = Field(
        default=False,
        description="Whether the account pages are served, and mails link to them. The standalone server turns them "
        "on unless the environment says otherwise; a host that mounts `auth.pages` sets this itself.",
    )
    pages_path: MountPath = Field(default="/account", description="Path where the account pages are mounted.")
    metrics_enabled: bool = Field(default=False, description="Whether the server serves `GET /metrics`.")
    log_format: Literal["plain", "json"] = Field(
        default="plain",
        description="How the server logs to standard error: lines for people, or one JSON object a line, with the ids "
        "of request and trace.",
    )

    @property
    def docs_are_open(self) -> bool:
        """Whether the API docs are served."""
        return not self.is_production if self.api_docs is None else self.api_docs

    @property
    def introspection_is_open(self) -> bool:
        """Whether the GraphQL schema can be queried."""
        return not self.is_production if self.graphql_introspection is None else self.graphql_introspection
