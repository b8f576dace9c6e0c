"""Gather the source of classes and functions, with all that they need, into one script.

Definitions are followed through the modules that they are imported from, as far as these are engram's or the user's
own; what comes from elsewhere stays an import.
"""

from __future__ import annotations

import ast
import copy
import re
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from engram.core.errors import ExportError
from engram.export.pruning import Pruning, attributes, lines_of

NOTES = re.compile(r"  # (type: ignore\[[\w, -]+\]|fmt: skip|noqa: \w+).*$")
"""Comments for tools that nobody runs on the script."""

UNPRUNED = frozenset({"engram.export.ejected"})
"""Written for the script alone."""

Key = tuple[str, str]
"""A module's name and a name in it."""


@dataclass
class Module:
    """A module's source, taken apart."""

    module: ModuleType

    @cached_property
    def text(self) -> str:
        """The source; ExportError where there is none."""
        loader: Any = getattr(self.module.__spec__, "loader", None)
        text: str | None = loader.get_source(self.module.__name__) if hasattr(loader, "get_source") else None
        if text is None:
            raise ExportError(f"expected the source of {self.module.__name__}; there is none. Define it in a file.")
        return text

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text)

    @property
    def is_ours(self) -> bool:
        """Whether it is engram's, of which training needs more than answering."""
        name = self.module.__name__
        return name.partition(".")[0] == "engram" and name not in UNPRUNED

    @cached_property
    def definitions(self) -> dict[str, ast.stmt]:
        """What is defined at its top level, by name."""
        found: dict[str, ast.stmt] = {}
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                found[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
                found.update(dict.fromkeys(names, node))
        return found

    @cached_property
    def imports(self) -> dict[str, tuple[str, str | None, str]]:
        """What is imported at its top level: name -> (module, name there or None for the module itself, statement)."""
        found: dict[str, tuple[str, str | None, str]] = {}
        for node in self.tree.body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    name = alias.asname or alias.name.partition(".")[0]
                    found[name] = (alias.name, None, f"import {alias.name}" + (f" as {name}" if alias.asname else ""))
            elif isinstance(node, ast.ImportFrom):
                package = self.module.__name__.rpartition(".")[0] if node.level else ""
                origin = ".".join(filter(None, [package, node.module]))
                for alias in node.names:
                    said = alias.name + (f" as {alias.asname}" if alias.asname else "")
                    found[alias.asname or alias.name] = (origin, alias.name, said)
        return found

    def following(self, node: ast.stmt) -> ast.stmt | None:
        """The statement after one at the top level."""
        later = self.tree.body[self.tree.body.index(node) + 1 :]
        return later[0] if later else None


@dataclass
class Gathered:
    """Definitions in the order in which a script needs them, and what it imports.

    imports: module -> what is imported from it; nothing for the module itself.
    """

    roots: list[Key]
    modules: dict[str, Module] = field(default_factory=dict)
    kept: dict[Key, ast.stmt] = field(default_factory=dict)
    removed: dict[Key, set[int]] = field(default_factory=dict)
    needs: dict[str, list[str]] = field(default_factory=dict)
    imports: set[tuple[str, str]] = field(default_factory=set)
    used: set[str] = field(default_factory=set)

    def sections(self) -> list[str]:
        """The source, module by module, each after those that it needs, under what it says of itself."""
        order: list[str] = []
        for origin, _ in self.roots:
            self._order(origin, order, set())
        return [self._section(name) for name in order]

    def _order(self, name: str, order: list[str], visited: set[str]) -> None:
        visited.add(name)
        for needed in self.needs.get(name, []):
            if needed not in visited and needed not in order:
                self._order(needed, order, visited)
        if name not in order:
            order.append(name)

    def _section(self, name: str) -> str:
        module = self.modules[name]
        source, seen, parts = module.text.splitlines(), set[int](), []
        for key, node in sorted(self.kept.items(), key=lambda item: item[1].lineno):
            if key[0] == name and node.lineno not in seen:
                seen.add(node.lineno)
                original = module.definitions[key[1]]
                lines = lines_of(original, source, self.removed[key], module.following(original))
                parts.append("\n".join(NOTES.sub("", line) for line in lines).rstrip())
        return "\n\n\n".join(["\n".join(f"# {line}".rstrip() for line in _said(module)), *parts])

    def import_lines(self) -> list[str]:
        """Statements of import, sorted, those of one module together."""
        plain = sorted(said for origin, said in self.imports if not origin)
        origins = sorted({origin for origin, _ in self.imports if origin})
        return plain + [
            f"from {origin} import {', '.join(sorted(said for found, said in self.imports if found == origin))}"
            for origin in origins
        ]


def gather(objects: Iterable[Any]) -> Gathered:
    """Gather the source of classes and functions; ExportError where some of it cannot stand in a script."""
    roots = [_key(one) for one in objects]
    found = Gathered(roots)
    while True:  # what is in use is known once nothing more comes to light
        found = Gathered(roots, modules=found.modules, used=found.used)
        for key in roots:
            _follow(found, key)
        used = attributes(list(found.kept.values()))
        if used <= found.used:
            _check_names(found)
            return found
        found.used |= used


def _key(one: Any) -> Key:
    if "<" in one.__qualname__ or "." in one.__qualname__:
        raise ExportError(
            f"expected {one.__qualname__} to be defined at the top of a file, so that its source can be copied; it is "
            "defined within something else. Move it there."
        )
    return one.__module__, one.__name__


def _follow(found: Gathered, key: Key) -> None:
    """Take up a definition, after all that it needs."""
    if key in found.kept:
        return
    origin, name = key
    if origin not in found.modules:
        found.modules[origin] = Module(sys.modules[origin])
    found.needs.setdefault(origin, [])
    module = found.modules[origin]
    if name in module.definitions:
        _take(found, module, key)
    elif name in module.imports:
        source, there, said = module.imports[name]
        if not _is_copied(source):
            found.imports.add(("", said) if there is None else (source, said))
        elif there is None or there != name:
            raise ExportError(f"{origin} imports {source} as {name}; import the names in it that it uses, as they are.")
        else:
            _follow(found, (source, there))
            found.needs[origin].append(source)
    # else: a local name, or one that is built in


def _take(found: Gathered, module: Module, key: Key) -> None:
    pruning = Pruning(found.used)
    node = copy.deepcopy(module.definitions[key[1]])
    found.kept[key] = pruning.visit(node) if module.is_ours else node
    found.removed[key] = pruning.removed
    for inner in ast.walk(found.kept[key]):
        if isinstance(inner, ast.Name):
            _follow(found, (key[0], inner.id))
        elif isinstance(inner, ast.Import | ast.ImportFrom) and module.is_ours:
            raise AssertionError(f"{key[1]} imports within itself, which a script cannot follow")


def _said(module: Module) -> list[str]:
    """The first paragraph of what a module says of itself, and its legend of shapes."""
    paragraphs = (ast.get_docstring(module.tree) or module.module.__name__).split("\n\n")
    legend = [one for one in paragraphs[1:] if one.startswith("Shapes:")]
    return "\n\n".join([paragraphs[0], *legend]).splitlines()


def _is_copied(name: str) -> bool:
    """Whether a module's source is copied: engram's, and what the user keeps beside a network."""
    if name.partition(".")[0] == "engram":
        return True
    file = getattr(sys.modules.get(name), "__file__", None)
    libraries = [sysconfig.get_path(kind) for kind in ("stdlib", "platlib", "purelib")]
    return file is not None and not any(Path(file).is_relative_to(library) for library in libraries)


def _check_names(found: Gathered) -> None:
    origins: dict[str, str] = {}
    for origin, name in found.kept:
        if origins.setdefault(name, origin) != origin:
            raise ExportError(
                f"{origins[name]} and {origin} both define {name}; rename one, for one script holds both."
            )
