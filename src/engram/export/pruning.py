"""What a definition needs to answer: its source without the parts that only training uses.

Left out are methods that nothing calls, constants that nothing reads, branches of `if self.training`, and guards
that refuse arguments, which were seen to be right. What is left stands as it was written, comments included.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

ALWAYS = frozenset({"forward", "backward"})
"""Methods that torch calls by their names."""


@dataclass
class Pruning(ast.NodeTransformer):
    """Takes needless parts out of a tree. used: names of attributes in use. removed: line numbers taken out."""

    used: set[str]
    removed: set[int] = field(default_factory=set)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Keep what is in use of a class; all fields of one whose constructor is made from them."""
        made_of_fields = bool(node.decorator_list) or any("NamedTuple" in ast.unparse(base) for base in node.bases)
        kept: list[ast.stmt] = []
        for statement in node.body:
            needless = not made_of_fields and not self._is_used(statement)
            if needless or (_is_text(statement) and self._follows_removed(node.body, statement)):
                self._remove(statement)
            else:
                kept.append(statement)
        node.body = kept
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Prune the body, and then what was read only by what is gone."""
        before = _loaded(node)
        self.generic_visit(node)
        idle = before - _loaded(node)
        for inner in ast.walk(node):
            body = getattr(inner, "body", None)
            if isinstance(body, list):
                for statement in [one for one in body if _assigned(one) & idle and _assigned(one) <= idle]:
                    self._remove(statement)
                    body.remove(statement)
        return node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        """Leave out what only training does, and refusals."""
        tests = (
            node.test.values if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And) else [node.test]
        )
        training = any(ast.unparse(test) == "self.training" for test in tests)
        refusal = len(node.body) == 1 and isinstance(node.body[0], ast.Raise)
        if (training or refusal) and not node.orelse:
            self._remove(node)
            return None
        return self._unless_empty(node)

    def visit_For(self, node: ast.For) -> ast.AST | None:
        """Leave out a loop that does nothing any more."""
        return self._unless_empty(node)

    def visit_With(self, node: ast.With) -> ast.AST | None:
        """The same of a block."""
        return self._unless_empty(node)

    def _unless_empty(self, node: ast.If | ast.For | ast.With) -> ast.AST | None:
        self.generic_visit(node)
        if node.body:
            return node
        assert not getattr(node, "orelse", []), "a branch that only training takes has no alternative"
        self._remove(node)
        return None

    def _is_used(self, statement: ast.stmt) -> bool:
        if isinstance(statement, ast.FunctionDef):
            name = statement.name
            return name in self.used or name in ALWAYS or (name.startswith("__") and name.endswith("__"))
        if isinstance(statement, ast.AnnAssign | ast.Assign) and statement.value is not None:
            return bool(_assigned(statement) & self.used)
        return True

    def _follows_removed(self, body: list[ast.stmt], statement: ast.stmt) -> bool:
        position = body.index(statement)
        return position > 0 and body[position - 1].lineno in self.removed

    def _remove(self, node: ast.stmt) -> None:
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(one.lineno for one in decorators)])
        self.removed |= set(range(first, (node.end_lineno or node.lineno) + 1))


def attributes(nodes: list[ast.AST]) -> set[str]:
    """Return the names of all attributes that are read or called."""
    return {node.attr for tree in nodes for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def lines_of(node: ast.stmt, source: list[str], removed: set[int], following: ast.stmt | None) -> Iterator[str]:
    """The lines of a definition that are kept, with the comments above it and the text that describes it."""
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
    while first > 1 and source[first - 2].startswith("#"):
        first -= 1
    described = following is not None and _is_text(following) and not isinstance(node, ast.ClassDef | ast.FunctionDef)
    last = (following if described and following is not None else node).end_lineno or node.lineno
    gone = _with_comments(removed, source)
    kept = [number for number in range(first, last + 1) if number not in gone]
    for before, number in zip([first - 1, *kept], kept, strict=False):
        blank = not source[number - 1].strip()
        if not (blank and before != number - 1 and not source[before - 1].strip()):  # a gap leaves one blank line
            yield source[number - 1]


def _with_comments(removed: set[int], source: list[str]) -> set[int]:
    """Line numbers with those of the comments that stand right above them."""
    found = set(removed)
    for number in sorted(removed):
        above = number - 1
        while above > 0 and above not in found and source[above - 1].lstrip().startswith("#"):
            found.add(above)
            above -= 1
    return found


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _loaded(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}


def _assigned(statement: ast.stmt) -> set[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
    return {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
