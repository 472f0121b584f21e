"""Query parameters that several lists share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from czo_auth.core import limits
from czo_auth.rest.models import Day, Moment

Limit = Annotated[int, Query(ge=1, le=limits.MAX_PAGE)]
SessionLimit = Annotated[int, Query(ge=1, le=limits.MAX_SESSIONS)]
Cursor = Annotated[str | None, Query(max_length=limits.MAX_CURSOR)]
UnusedSince = Annotated[Moment | None, Query(alias="unusedSince")]
FirstDay = Annotated[Day | None, Query(alias="from")]
LastDay = Annotated[Day | None, Query(alias="to")]
OrganizationFilter = Annotated[
    str | None, Query(alias="organizationId", min_length=1, max_length=limits.MAX_ID)
]
