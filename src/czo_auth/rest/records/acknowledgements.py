"""Answers that say only that it was done."""

from __future__ import annotations

from typing import Final, Literal

from czo_auth.rest.records.base import Record


class Done(Record):
    """What was asked for was done, or was none of the caller's business."""

    status: Literal[True]


class Succeeded(Record):
    """What was asked for was done."""

    success: Literal[True]


class DeletedUser(Succeeded):
    """The account was deleted."""

    message: str


DONE: Final = Done(status=True)
SUCCEEDED: Final = Succeeded(success=True)
