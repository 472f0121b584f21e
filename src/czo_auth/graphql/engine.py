"""
Execute the requests of admitted callers.

Importing this module takes about 0.4 s (strawberry), so nothing imports it at start.
"""

from __future__ import annotations

import logging
from typing import Any

from graphql import GraphQLError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from czo_auth.asgi.admission import RequestContext
from czo_auth.core.errors import NotAuthenticated, Refusal, Unavailable
from czo_auth.graphql.documents import Documents, locations_of
from czo_auth.graphql.problems import BAD_INPUT, INTERNAL, DocumentRefused, Problem, problem
from czo_auth.graphql.schema import SCHEMA, GraphQLContext

_LOG = logging.getLogger("czo_auth")


class Engine:
    """Executes requests. There is one engine for each deployment, because a setting decides about introspection."""

    def __init__(self, *, introspection_is_open: bool) -> None:
        self._documents = Documents(SCHEMA._schema, introspection_is_open=introspection_is_open)

    async def answer(
        self,
        call: RequestContext,
        query: str,
        *,
        variables: dict[str, Any] | None,
        operation_name: str | None,
    ) -> dict[str, object]:
        """
        Execute a document for an admitted caller.

        Raises:
            DocumentRefused: Nothing was executed.
            NotAuthenticated, Unavailable: A field raised it; it applies to the whole request.
        """
        result = await SCHEMA.execute(
            None,
            variable_values=variables,
            context_value=GraphQLContext(
                call=call, document=self._documents.accept(query, operation_name=operation_name)
            ),
            operation_name=operation_name,
            allowed_operation_types=[OperationType.QUERY],
        )
        return _shape(result)


def _shape(result: ExecutionResult) -> dict[str, object]:
    problems = [_problem(error) for error in result.errors or ()]
    return {"data": result.data, "errors": problems} if problems else {"data": result.data}


def _problem(error: GraphQLError) -> Problem:
    cause = error.original_error
    if isinstance(cause, (NotAuthenticated, Unavailable)):
        raise cause
    if error.path is None:
        raise _before_the_first_field(error, cause)
    where = locations_of(error)
    if isinstance(cause, Refusal):
        return problem(cause.code, cause.message, locations=where, path=error.path)
    _LOG.error("unexpected fault in GraphQL: %s", type(cause or error).__name__, exc_info=cause)
    return problem(INTERNAL, "Something went wrong.", locations=where, path=error.path)


def _before_the_first_field(error: GraphQLError, cause: Exception | None) -> Exception:
    """Distinguish invalid variables, whose message quotes their values, from a fault of ours."""
    if cause is not None and not isinstance(cause, GraphQLError):
        return cause
    return DocumentRefused(
        problem(
            BAD_INPUT, "A variable is missing or is not of the right type.", locations=locations_of(error)
        )
    )
