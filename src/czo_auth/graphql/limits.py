"""
Limits on one document (S28).

The counts are those of the whole document with its fragments expanded, regardless of the chosen operation. Each
fragment is measured once, so the cost is linear in the size of the document, even if it would expand to something huge.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    Lexer,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    Source,
    TokenKind,
)

from czo_auth.core.limits import (
    MAX_GRAPHQL_ALIASES,
    MAX_GRAPHQL_DEPTH,
    MAX_GRAPHQL_FIELDS,
    MAX_GRAPHQL_INTROSPECTED,
    MAX_GRAPHQL_LISTS,
    MAX_GRAPHQL_NESTING,
    MAX_GRAPHQL_TOKENS,
)
from czo_auth.graphql.problems import TOO_COMPLEX, VALIDATION_FAILED, DocumentRefused, problem

_NESTED_LIST = MAX_GRAPHQL_LISTS
"""The weight of a list below another list: it would be read for each row, so it exceeds the limit."""

_ENOUGH = 1_000_000
_INTROSPECTION = frozenset({"__schema", "__type"})


class _Cost(NamedTuple):
    """The measures of a part of the document; ``introspected`` are the fields with a separate limit."""

    depth: int = 0
    aliases: int = 0
    fields: int = 0
    introspected: int = 0
    lists: int = 0


def check_tokens(text: str) -> None:
    """
    Refuse a text of too many tokens before it is parsed.

    Raises:
        DocumentRefused: There are more than ``MAX_GRAPHQL_TOKENS``.
        GraphQLSyntaxError: It cannot be split into tokens.
    """
    lexer = Lexer(Source(text))
    for _ in range(MAX_GRAPHQL_TOKENS + 1):
        if lexer.advance().kind is TokenKind.EOF:
            return
    raise _too_complex(f"The document has more than {MAX_GRAPHQL_TOKENS} tokens.")


def check_limits(
    document: DocumentNode, *, introspection_is_open: bool, list_fields: Collection[str] = ()
) -> None:
    """
    Refuse a document that exceeds a limit. Runs before validation, whose cost is not linear.

    Args:
        list_fields: Names of the fields that return a list of objects.

    Raises:
        DocumentRefused: Too deep, too many aliases or fields, or fragments that form a cycle.
    """
    meter = _Meter(
        document, apart=_INTROSPECTION if introspection_is_open else frozenset(), lists=list_fields
    )
    cost = meter.whole(document)
    if cost.depth > MAX_GRAPHQL_DEPTH:
        raise _too_complex(f"The document is deeper than {MAX_GRAPHQL_DEPTH} levels.")
    if cost.aliases > MAX_GRAPHQL_ALIASES:
        raise _too_complex(f"The document has more than {MAX_GRAPHQL_ALIASES} aliases.")
    if cost.lists > MAX_GRAPHQL_LISTS:
        raise _too_complex(f"The document asks for more than {MAX_GRAPHQL_LISTS} lists.")
    if cost.fields > MAX_GRAPHQL_FIELDS or cost.introspected > MAX_GRAPHQL_INTROSPECTED:
        raise _too_complex("The document asks for too many fields.")


class _Meter:
    """
    Measures the parts of one document.

    Args:
        apart: Fields below which other limits apply.
        lists: Fields that return a list of objects.
    """

    def __init__(self, document: DocumentNode, *, apart: frozenset[str], lists: Collection[str]) -> None:
        self._apart = apart
        self._lists = lists
        self._fragments: dict[str, FragmentDefinitionNode] = {}
        self._measured: dict[str, _Cost] = {}
        self._under_way: set[str] = set()
        for definition in document.definitions:
            if isinstance(definition, FragmentDefinitionNode):
                if definition.name.value in self._fragments:
                    # With two of one name, the measured fragment could differ from the executed one.
                    raise _invalid("Two fragments have the same name.")
                self._fragments[definition.name.value] = definition

    def whole(self, document: DocumentNode) -> _Cost:
        """Measure all operations, and the fragments that none of them uses."""
        total = _Cost()
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                if definition.operation is not OperationType.QUERY:
                    raise _invalid("Only queries are supported.")
                total = _together(total, self._selections(definition.selection_set, nesting=1))
        for name in self._fragments:
            if name not in self._measured:
                total = _together(total, self._fragment(name, nesting=1))
        return total

    def _selections(self, selection_set: SelectionSetNode | None, *, nesting: int) -> _Cost:
        if selection_set is None:
            return _Cost()
        if nesting > MAX_GRAPHQL_NESTING:
            raise _too_complex("The document is nested too deeply.")
        total = _Cost()
        for selection in selection_set.selections:
            total = _together(total, self._selection(selection, nesting=nesting + 1))
        return total

    def _selection(self, selection: SelectionNode, *, nesting: int) -> _Cost:
        if isinstance(selection, FieldNode):
            return self._field(selection, nesting=nesting)
        if isinstance(selection, FragmentSpreadNode):
            return self._fragment(selection.name.value, nesting=nesting)
        return self._selections(getattr(selection, "selection_set", None), nesting=nesting)

    def _field(self, field: FieldNode, *, nesting: int) -> _Cost:
        below = self._selections(field.selection_set, nesting=nesting)
        aliases = below.aliases + (field.alias is not None)
        if field.name.value in self._apart:
            return _Cost(depth=1, aliases=aliases, fields=1, introspected=below.fields + below.introspected)
        is_list = field.name.value in self._lists
        lists = min(below.lists * (_NESTED_LIST if is_list else 1) + is_list, _ENOUGH)
        return _Cost(below.depth + 1, aliases, below.fields + 1, below.introspected, lists)

    def _fragment(self, name: str, *, nesting: int) -> _Cost:
        known = self._measured.get(name)
        if known is not None:
            return known
        fragment = self._fragments.get(name)
        if fragment is None:
            # Validation reports it, with its name.
            return _Cost()
        if name in self._under_way:
            raise _invalid("A fragment spreads itself.")
        self._under_way.add(name)
        cost = self._measured[name] = self._selections(fragment.selection_set, nesting=nesting)
        self._under_way.discard(name)
        return cost


def _together(one: _Cost, other: _Cost) -> _Cost:
    """Add the measures of siblings. Repeated doubling grows exponentially, so the sums are capped."""
    return _Cost(
        depth=max(one.depth, other.depth),
        aliases=min(one.aliases + other.aliases, _ENOUGH),
        fields=min(one.fields + other.fields, _ENOUGH),
        introspected=min(one.introspected + other.introspected, _ENOUGH),
        lists=min(one.lists + other.lists, _ENOUGH),
    )


def _too_complex(message: str) -> DocumentRefused:
    return DocumentRefused(problem(TOO_COMPLEX, message))


def _invalid(message: str) -> DocumentRefused:
    return DocumentRefused(problem(VALIDATION_FAILED, message))
