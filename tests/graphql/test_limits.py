from __future__ import annotations

import time

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_introspection_query,
    parse,
)
from hypothesis import given
from hypothesis import strategies as st

from czo_auth.graphql import limits
from czo_auth.graphql.documents import Documents
from czo_auth.graphql.limits import check_limits, check_tokens
from czo_auth.graphql.problems import TOO_COMPLEX, VALIDATION_FAILED, DocumentRefused
from czo_auth.graphql.schema import SCHEMA


def check(text: str, *, open: bool = False) -> None:
    check_limits(parse(text), introspection_is_open=open)


def refusal(text: str, *, open: bool = False) -> tuple[object, str]:
    with pytest.raises(DocumentRefused) as refused:
        check(text, open=open)
    [problem] = refused.value.problems
    extensions = problem["extensions"]
    assert isinstance(extensions, dict)
    return extensions["code"], str(problem["message"])


TOO_DEEP = (TOO_COMPLEX, "The document is deeper than 8 levels.")
TOO_MANY_ALIASES = (TOO_COMPLEX, "The document has more than 20 aliases.")
TOO_MANY_FIELDS = (TOO_COMPLEX, "The document asks for too many fields.")
NESTED_TOO_DEEPLY = (TOO_COMPLEX, "The document is nested too deeply.")
CIRCLE = (VALIDATION_FAILED, "A fragment spreads itself.")


def nested(levels: int, *, inside: str = "a") -> str:
    return "{a" * (levels - 1) + "{" + inside + "}" * levels


def repeated(pattern: str, times: int) -> str:
    return "".join(pattern.format(number) for number in range(times))


# --- tokens ----------------------------------------------------------------------------------------------------------
def test_five_hundred_tokens_are_taken() -> None:
    check_tokens("{" + "a " * 498 + "}")


def test_one_token_more_is_refused() -> None:
    with pytest.raises(DocumentRefused):
        check_tokens("{" + "a " * 499 + "}")


def test_comments_and_commas_are_no_tokens() -> None:
    check_tokens("# a comment\n" * 600 + "{" + "a," * 498 + "}")


# --- depth -----------------------------------------------------------------------------------------------------------
def test_eight_levels_are_taken() -> None:
    check(nested(8))


def test_the_ninth_level_is_refused() -> None:
    assert refusal(nested(9)) == TOO_DEEP


def test_inline_fragments_add_no_level() -> None:
    check(nested(7, inside="...{...on A{a}}"))
    check(nested(8, inside="...{...on A{a}}"))
    assert refusal(nested(8, inside="...{...on A{a{a}}}")) == TOO_DEEP


def test_depth_is_counted_through_fragments() -> None:
    check(nested(5, inside="...F") + "fragment F on A" + nested(4))
    assert refusal(nested(5, inside="...F") + "fragment F on A" + nested(5)) == TOO_DEEP


def test_depth_is_measured_at_the_deepest_place_that_a_fragment_is_spread_at() -> None:
    deep = nested(7, inside="...F")
    assert refusal("{...F a" + deep + "}fragment F on A{a{a}}") == TOO_DEEP


@pytest.mark.parametrize(
    "elsewhere",
    [
        "query Other" + nested(9),
        "fragment Unused on A" + nested(9),
        "query Other{...F}fragment F on A" + nested(9),
    ],
    ids=["another operation", "an unused fragment", "a fragment of another operation"],
)
def test_every_part_of_the_document_counts(elsewhere: str) -> None:
    assert refusal("query This{a}" + elsewhere) == TOO_DEEP


# --- aliases ---------------------------------------------------------------------------------------------------------
def test_twenty_aliases_are_taken() -> None:
    check("{" + repeated("a{}:b ", 20) + "}")


def test_one_alias_more_is_refused() -> None:
    assert refusal("{" + repeated("a{}:b ", 21) + "}") == TOO_MANY_ALIASES


def test_aliases_are_counted_at_every_level_and_in_every_operation() -> None:
    assert refusal("query A{a:b{" + repeated("a{}:b ", 10) + "}}query B{" + repeated("a{}:b ", 10) + "}") == (
        TOO_MANY_ALIASES
    )


def test_aliases_of_a_fragment_count_as_often_as_it_is_spread() -> None:
    fragment = "fragment F on A{" + repeated("a{}:b ", 5) + "}"
    check("{...F a{...F} b{...F} c{...F}}" + fragment)
    assert refusal("{...F a{...F} b{...F} c{...F} d{...F}}" + fragment) == TOO_MANY_ALIASES


def test_aliases_below_introspection_count() -> None:
    text = "{__schema{types{" + repeated("a{}:name ", 21) + "}}}"
    assert refusal(text, open=True) == TOO_MANY_ALIASES


# --- fields ----------------------------------------------------------------------------------------------------------
def test_two_hundred_fields_are_taken() -> None:
    check("{" + "a " * 200 + "}")


def test_one_field_more_is_refused() -> None:
    assert refusal("{" + "a " * 201 + "}") == TOO_MANY_FIELDS


def test_fields_of_a_fragment_count_as_often_as_it_is_spread() -> None:
    fragment = "fragment F on A{" + "a " * 20 + "}"
    check("{" + "...F " * 10 + "}" + fragment)
    assert refusal("{" + "...F " * 11 + "}" + fragment) == TOO_MANY_FIELDS


# --- introspection ---------------------------------------------------------------------------------------------------
FULL_INTROSPECTION = get_introspection_query(
    specified_by_url=True,
    directive_is_repeatable=True,
    schema_description=True,
    input_value_deprecation=True,
    one_of=True,
)


def test_the_introspection_of_the_usual_tools_is_taken_where_it_is_open() -> None:
    documents = Documents(SCHEMA._schema, introspection_is_open=True)
    documents.accept(FULL_INTROSPECTION, operation_name=None)


def test_it_is_not_exempt_where_it_is_closed() -> None:
    assert refusal(FULL_INTROSPECTION, open=False) == TOO_DEEP


def test_introspection_has_a_limit_of_its_own() -> None:
    fragment = "fragment F on __Type{" + "name " * 100 + "}"
    check("{__schema{types{" + "...F " * 9 + "}}}" + fragment, open=True)
    assert refusal("{__schema{types{" + "...F " * 10 + "}}}" + fragment, open=True) == TOO_MANY_FIELDS


def test_fields_next_to_introspection_are_not_exempt() -> None:
    assert refusal("{__schema{types{name}}a" + nested(8) + "}", open=True) == TOO_DEEP


# --- shapes ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        "{...A}fragment A on Q{...A}",
        "{...A}fragment A on Q{a{...B}}fragment B on Q{...on Q{...A}}",
        "{a}fragment A on Q{...B}fragment B on Q{...A}",
    ],
)
def test_fragments_in_a_circle_are_refused(text: str) -> None:
    assert refusal(text) == CIRCLE


def test_two_fragments_of_one_name_are_refused() -> None:
    text = "{...F}fragment F on A{a}fragment F on A" + nested(9)
    assert refusal(text) == (VALIDATION_FAILED, "Two fragments have the same name.")


@pytest.mark.parametrize("kind", ["mutation", "subscription"])
def test_only_queries_are_answered(kind: str) -> None:
    assert refusal("query A{a}" + kind + " B{a}") == (VALIDATION_FAILED, "Only queries are supported.")


def test_nesting_without_depth_is_bounded_too() -> None:
    check("{" + "...{" * 30 + "a" + "}" * 31)
    assert refusal("{" + "...{" * 40 + "a" + "}" * 41) == NESTED_TOO_DEEPLY


def test_a_long_chain_of_fragments_is_bounded() -> None:
    links = "".join(f"fragment F{n} on A{{...F{n + 1}}}" for n in range(60))
    assert refusal("{...F0}" + links + "fragment F60 on A{a}") == NESTED_TOO_DEEPLY


def bomb(fragments: int, *, spreads: int = 2, leaf: str = "id") -> str:
    """A document that doubles with every fragment."""
    links = "".join(f"fragment F{n} on User{{{f'...F{n + 1} ' * spreads}}}" for n in range(fragments - 1))
    return "{me{...F0}}" + links + f"fragment F{fragments - 1} on User{{{leaf}}}"


def nesting_bomb(fragments: int) -> str:
    """A document that doubles and deepens with every fragment."""
    links = "".join(
        f"fragment F{n} on User{{a:me{{...F{n + 1}}} b:me{{...F{n + 1}}}}}" for n in range(fragments)
    )
    return "{me{...F0}}" + links + f"fragment F{fragments} on User{{id}}"


BOMBS = {
    "845 bytes": bomb(24) + "#" * (845 - len(bomb(24))),
    "of aliases": bomb(24, leaf="a:id"),
    "eightfold": bomb(22, spreads=8),
    "deepening": nesting_bomb(18),
    "below introspection": "{__schema{types{...F0}}}"
    + "".join(f"fragment F{n} on __Type{{...F{n + 1} ...F{n + 1}}}" for n in range(24))
    + "fragment F24 on __Type{name}",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_a_fragment_bomb_is_refused_at_once(text: str) -> None:
    """S28: the same document took strawberry's own limiters 7.7 s; the CPU's time leaves out a busy machine."""
    documents = Documents(SCHEMA._schema, introspection_is_open=True)
    seconds = []
    for _ in range(5):
        began = time.thread_time()
        with pytest.raises(DocumentRefused) as refused:
            documents.accept(text, operation_name=None)
        seconds.append(time.thread_time() - began)
        assert refused.value.problems[0]["extensions"] == {"code": TOO_COMPLEX}
    assert min(seconds) < 0.05


def test_each_fragment_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[SelectionSetNode | None] = []
    inner = limits._Meter._selections

    def counting(
        self: limits._Meter, selection_set: SelectionSetNode | None, *, nesting: int
    ) -> limits._Cost:
        measured.append(selection_set)
        return inner(self, selection_set, nesting=nesting)

    monkeypatch.setattr(limits._Meter, "_selections", counting)
    assert refusal(bomb(20)) == TOO_MANY_FIELDS
    sets = [found for found in measured if found is not None]
    # One for the operation, one for `me`, one for each fragment.
    assert len(sets) == len({id(found) for found in sets}) == 22


# --- against the plain definition ------------------------------------------------------------------------------------
NAMES = ["F0", "F1", "F2"]


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Small documents; a fragment spreads only those after it, and every one is reached."""

    def selections(spreadable: list[str], depth: int) -> str:
        parts = draw(
            st.lists(
                st.sampled_from(["field", "alias", "inline", "nested", "spread"]), min_size=1, max_size=3
            )
        )
        written = []
        for part in parts:
            inner = depth < 2 and part in ("inline", "nested")
            if part == "spread" and spreadable:
                written.append("..." + draw(st.sampled_from(spreadable)))
            elif inner:
                written.append(("..." if part == "inline" else "x") + selections(spreadable, depth + 1))
            else:
                written.append("y:z" if part == "alias" else "z")
        return "{" + " ".join(written) + "}"

    operation = "query" + selections(NAMES, 0)[:-1] + " " + " ".join(f"...{name}" for name in NAMES) + "}"
    fragments = [f"fragment {name} on A{selections(NAMES[n + 1 :], 0)}" for n, name in enumerate(NAMES)]
    return operation + "".join(fragments)


def plainly(document: DocumentNode) -> tuple[int, int, int]:
    """Spread everything out and count: depth, aliases, fields."""
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    seen: list[tuple[int, bool]] = []

    def walk(selection_set: SelectionSetNode, depth: int) -> None:
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                seen.append((depth, selection.alias is not None))
                if selection.selection_set:
                    walk(selection.selection_set, depth + 1)
            elif isinstance(selection, FragmentSpreadNode):
                walk(fragments[selection.name.value].selection_set, depth)
            else:
                walk(selection.selection_set, depth)  # type: ignore[attr-defined]

    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            walk(definition.selection_set, 1)
    return max(depth for depth, _ in seen), sum(alias for _, alias in seen), len(seen)


@given(documents())
def test_the_measure_is_what_spreading_everything_out_would_count(text: str) -> None:
    document = parse(text)
    cost = limits._Meter(document, apart=frozenset(), lists=()).whole(document)
    assert (cost.depth, cost.aliases, cost.fields) == plainly(document)
