"""The mutants of one module: its syntax tree with one thing changed."""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
Path = tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """
    One change.

    Attributes:
        name: ``function: before → after``, and a number where a function has the same change several times. It does
            not name a line, so that it stays the same while the code around it moves.
        line: First line of the statement, as the module stands now.
        at_import: Whether the statement runs when the module is imported, not when a function is called.
        source: The whole module, changed.
        digest: Of the whole module, changed, without docstrings: the results of its trial hold for others that have it.
    """

    name: str
    line: int
    last_line: int
    at_import: bool
    source: str
    digest: str


def mutants_of(source: str) -> Iterator[Mutant]:
    """
    Yield every mutant of a module.

    Changed are comparisons, boolean and arithmetic operators, conditions, numbers, texts and truth values, what a
    function returns, and whether a statement is there at all. Left alone are docstrings, annotations, decorators,
    ``__slots__``, what only a type checker reads, names of encodings, and the text of an exception, which is for
    people.
    """
    tree = ast.parse(source)
    seen: Counter[str] = Counter()
    for path, node, statement, function in _walk(tree, (), None, ""):
        for changed in _changes(node):
            mutated = _replaced(source, path, changed)
            text = ast.unparse(mutated)
            name = f"{function or 'module'}: {_line(node)} → {_line(changed)}"
            if isinstance(node, ast.Constant):
                name += f" in {_line(statement)}"
            seen[name] += 1
            if seen[name] > 1:
                name += f" ({seen[name]})"
            yield Mutant(
                name=name,
                line=statement.lineno,
                last_line=_last_line(statement),
                at_import=not function or _is_default(path),
                source=text,
                digest=hashlib.sha256(ast.unparse(_without_docstrings(mutated)).encode()).hexdigest(),
            )


def _walk(
    node: ast.AST, path: Path, statement: ast.stmt | None, function: str
) -> Iterator[tuple[Path, ast.AST, ast.stmt, str]]:
    if isinstance(node, ast.stmt):
        statement = node
        if path:
            yield path, node, statement, function
    elif isinstance(node, ast.expr) and statement is not None:
        yield path, node, statement, function
    inside = function
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        inside = f"{function}.{node.name}".lstrip(".")
    for field, index, child in _children(node):
        yield from _walk(child, (*path, (field, index)), statement, inside)


def _children(node: ast.AST) -> Iterator[tuple[str, int | None, ast.AST]]:
    for field, value in ast.iter_fields(node):
        if field in _left_alone(node):
            continue
        if isinstance(value, ast.AST):
            yield field, None, value
        elif isinstance(value, list):
            for index, child in enumerate(value):
                if isinstance(child, ast.AST) and not (field == "body" and _is_docstring(child)):
                    yield field, index, child


def _left_alone(node: ast.AST) -> tuple[str, ...]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return ("decorator_list", "returns")
        case ast.ClassDef():
            return ("decorator_list",)
        case ast.arg():
            return ("annotation",)
        case ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
            return ("annotation", "value")
        case ast.AnnAssign():
            return ("annotation",)
        case ast.Assign(targets=[ast.Name(id="__slots__" | "__all__")]):
            return ("value",)
        case ast.Assign(value=ast.Subscript(value=ast.Name(id="Literal" | "Callable"))):
            return ("value",)
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return ("test", "body")
        case ast.Raise():
            return ("exc", "cause")
        case ast.ImportFrom() | ast.Import():
            return ("names",)
        case ast.Call(func=ast.Name(id="cast") | ast.Attribute(attr="encode" | "decode")):
            return ("args",)
        case _:
            return ()


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_default(path: Path) -> bool:
    return any(field in ("defaults", "kw_defaults") for field, _ in path)


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=[op], left=left, comparators=comparators):
            for other in _COMPARISONS[type(op)]:
                yield ast.Compare(left=left, ops=[other()], comparators=comparators)
        case ast.Compare(ops=ops, left=left, comparators=comparators):
            for index, op in enumerate(ops):
                for other in _COMPARISONS[type(op)]:
                    changed = [*ops[:index], other(), *ops[index + 1 :]]
                    yield ast.Compare(left=left, ops=changed, comparators=comparators)
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(op=ast.Or() if isinstance(op, ast.And) else ast.And(), values=values)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            yield ast.BinOp(left=left, op=_OPERATORS[type(op)](), right=right)
        case ast.AugAssign(target=target, op=op, value=value) if type(op) in _OPERATORS:
            yield ast.AugAssign(target=target, op=_OPERATORS[type(op)](), value=value)
            yield ast.Pass()
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield operand
        case ast.Constant(value=value):
            yield from _other_constants(value)
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(value=ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield ast.Pass()
        case ast.Raise() | ast.Delete() | ast.Continue() | ast.Break():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return
        case ast.If(test=ast.Name() | ast.Attribute() | ast.Call() | ast.NamedExpr() as test):
            yield ast.If(test=ast.UnaryOp(op=ast.Not(), operand=test), body=node.body, orelse=node.orelse)
        case ast.IfExp(test=ast.Name() | ast.Attribute() | ast.Call() as test):
            negated = ast.UnaryOp(op=ast.Not(), operand=test)
            yield ast.IfExp(test=negated, body=node.body, orelse=node.orelse)


def _other_constants(value: object) -> Iterator[ast.AST]:
    match value:
        case bool():
            yield ast.Constant(not value)
        case int() | float():
            yield ast.Constant(value + 1)
            if value > 0:
                yield ast.Constant(value - 1)
        case str() if value:
            yield ast.Constant(f"{value}~")
        case bytes() if value:
            yield ast.Constant(b"")


def _without_docstrings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not _is_docstring(one)] or [ast.Pass()]  # type: ignore[attr-defined]
    return tree


def _replaced(source: str, path: Path, changed: ast.AST) -> ast.AST:
    tree = ast.parse(source)
    holder: ast.AST = tree
    for field, index in path[:-1]:
        holder = getattr(holder, field) if index is None else getattr(holder, field)[index]
    field, index = path[-1]
    if index is None:
        setattr(holder, field, changed)
    else:
        getattr(holder, field)[index] = changed
    return ast.fix_missing_locations(tree)


def _line(node: ast.AST) -> str:
    """Write a node as one line, without the bodies of what it leads."""
    text = " ".join(ast.unparse(node).partition("\n")[0].split())
    return text if len(text) <= 80 else f"{text[:79]}…"


def _last_line(statement: ast.stmt) -> int:
    if isinstance(statement, (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.FunctionDef, ast.ClassDef)):
        return statement.lineno
    return statement.end_lineno or statement.lineno
