"""Refused documents, and the format of GraphQL errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
TOO_COMPLEX = "QUERY_TOO_COMPLEX"
BAD_INPUT = "BAD_USER_INPUT"
NO_OPERATION = "OPERATION_RESOLUTION_FAILURE"
INTERNAL = "INTERNAL_ERROR"

Problem = Mapping[str, object]
Positions = Sequence[Mapping[str, int]]


class DocumentRefused(Exception):
    """
    The document or its variables are not valid; nothing was executed. The response has status 400.

    Args:
        problems: The GraphQL errors of the response.
    """

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__(len(problems))


def problem(
    code: str,
    message: str,
    *,
    locations: Positions | None = None,
    path: Sequence[str | int] | None = None,
) -> Problem:
    """Format one error; *message* must be safe to show."""
    shaped: dict[str, object] = {"message": message}
    if locations:
        shaped["locations"] = locations
    if path is not None:
        shaped["path"] = path
    return {**shaped, "extensions": {"code": code}}
