"""Parse, limit and validate documents."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    ValidationRule,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    get_operation_ast,
    is_composite_type,
    is_list_type,
    parse,
    specified_rules,
    validate,
)

from czo_auth.core.limits import MAX_GRAPHQL_PROBLEMS
from czo_auth.graphql.limits import check_limits, check_tokens
from czo_auth.graphql.problems import (
    NO_OPERATION,
    PARSE_FAILED,
    TOO_COMPLEX,
    VALIDATION_FAILED,
    DocumentRefused,
    Positions,
    Problem,
    problem,
)

REMEMBERED = 64
"""How many accepted documents are cached."""


class Documents:
    """
    Accepts documents for one schema, and caches those it accepted recently.

    Refused documents are not cached, so that nobody can evict useful ones with them.

    Args:
        introspection_is_open: Whether the schema can be queried, and whether errors contain suggestions.
    """

    def __init__(self, schema: GraphQLSchema, *, introspection_is_open: bool) -> None:
        self._schema = schema
        self._is_open = introspection_is_open
        self._rules: Sequence[type[ASTValidationRule]] = (
            specified_rules if introspection_is_open else (*specified_rules, RefuseSchemaFields)
        )
        self._list_fields = _list_fields(schema)
        self._accept = lru_cache(maxsize=REMEMBERED)(self._read)

    def accept(self, text: str, *, operation_name: str | None) -> DocumentNode:
        """
        Parse *text* and return the document if it may be executed.

        Raises:
            DocumentRefused: Its syntax is wrong, it exceeds a limit, it is not valid, or it has no such operation.
        """
        document = self._accept(text)
        if get_operation_ast(document, operation_name) is None:
            raise DocumentRefused(
                problem(NO_OPERATION, "Set operationName to one of the operations of the document.")
            )
        return document

    def _read(self, text: str) -> DocumentNode:
        try:
            check_tokens(text)
            document = parse(text)
            check_limits(document, introspection_is_open=self._is_open, list_fields=self._list_fields)
        except GraphQLError as error:
            # The parser's own message quotes the text, which may contain secrets.
            raise DocumentRefused(
                problem(PARSE_FAILED, "The document is not GraphQL.", locations=locations_of(error))
            ) from None
        except RecursionError:
            raise DocumentRefused(problem(TOO_COMPLEX, "The document is nested too deeply.")) from None
        errors = validate(
            self._schema, document, self._rules, MAX_GRAPHQL_PROBLEMS, hide_suggestions=not self._is_open
        )
        if errors:
            raise DocumentRefused(*map(_invalid, errors[:MAX_GRAPHQL_PROBLEMS]))
        return document


def _list_fields(schema: GraphQLSchema) -> frozenset[str]:
    """Return all fields of the schema that return a list of objects; lists of scalars cost nothing."""
    return frozenset(
        name
        for kind_name, kind in schema.type_map.items()
        if isinstance(kind, GraphQLObjectType) and not kind_name.startswith("__")
        for name, field in kind.fields.items()
        if is_list_type(get_nullable_type(field.type)) and is_composite_type(get_named_type(field.type))
    )


class RefuseSchemaFields(ValidationRule):
    """Refuses fields that reveal the schema: introspection, and the equivalent of federation."""

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        if node.name.value in ("__schema", "__type", "_service"):
            self.report_error(GraphQLError("Introspection is disabled.", node))


def locations_of(error: GraphQLError) -> Positions | None:
    """Return the lines and columns of an error."""
    return [{"line": at.line, "column": at.column} for at in error.locations] if error.locations else None


def _invalid(error: GraphQLError) -> Problem:
    # A message about a value quotes it.
    quotes = any(
        isinstance(node, ValueNode) and not isinstance(node, VariableNode) for node in error.nodes or ()
    )
    message = "A value is not of the right type." if quotes else error.message
    return problem(VALIDATION_FAILED, message, locations=locations_of(error))
