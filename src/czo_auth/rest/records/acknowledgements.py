"""Responses that only confirm success."""

from __future__ import annotations

from typing import Final, Literal

from czo_auth.rest.records.base import Record


class Done(Record):
    """The request was carried out; or it was not, and the caller must not learn that."""

    status: Literal[True]


class Succeeded(Record):
    """The request was carried out."""

    success: Literal[True]


class DeletedUser(Succeeded):
    """The account was deleted."""

    message: str


DONE: Final = Done(status=True)
SUCCEEDED: Final = Succeeded(success=True)
