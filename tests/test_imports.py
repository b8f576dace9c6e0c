"""Who may import whom: the folder list is the story's table of contents, and this keeps it true.

Every import statement counts, also within functions and under `if TYPE_CHECKING`.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
FILES = sorted((SOURCE / "engram").rglob("*.py"))

MAY_IMPORT = {
    "core": "",
    "demo": "",
    "features": "core",
    "data": "core features",
    "models": "core",
    "losses": "core",
    "metrics": "core",
    "optim": "core",
    "floors": "core",
    "tasks": "core features data models losses metrics optim floors",
    "train": "core data optim",
    "predict": "core features data models tasks",
    "evaluate": "core features data metrics predict",
    "explain": "core predict evaluate",
    "export": "core predict evaluate",
    "report": "core predict evaluate explain",
    "serve": "core predict evaluate explain",
    "api": "core features data models losses metrics optim floors tasks train predict evaluate explain export report "
    "serve console",
    "console": "core",
    "cli": "core api console demo",
    "__main__": "cli",
    "sklearn": "core api",
    "": "core api",
}
"""Part of the package -> parts it may import. The package itself ("") holds the verbs; `testing` may import all."""


@dataclass(frozen=True)
class Import:
    importer: str
    imported: str
    line: int
    typing_only: bool


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


def imports(module: str, path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node, typing_only in walk(tree, typing_only=False):
        for name in imported_names(node, module, is_package=path.stem == "__init__"):
            if name.partition(".")[0] == "engram":
                yield Import(module, existing(name), node.lineno, typing_only)


def walk(node: ast.AST, *, typing_only: bool) -> Iterator[tuple[ast.AST, bool]]:
    guarded = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    for child in ast.iter_child_nodes(node):
        yield child, typing_only or guarded
        yield from walk(child, typing_only=typing_only or guarded)


def imported_names(node: ast.AST, module: str, *, is_package: bool) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = module.split(".") if is_package else module.split(".")[:-1]
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
        return [f"{base}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")) and node.args:
        return [ast.literal_eval(node.args[0])] if isinstance(node.args[0], ast.Constant) else []
    return []


def existing(name: str) -> str:
    """Cut a dotted name down to the module it lies in."""
    while name not in MODULES and "." in name:
        name = name.rpartition(".")[0]
    return name


IMPORTS = [found for module, path in MODULES.items() for found in imports(module, path)]


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_imports_follow_the_directions() -> None:
    breaches = [
        f"{found.importer}:{found.line} imports {found.imported}"
        for found in IMPORTS
        if part(found.importer) not in ("testing", part(found.imported))
        and part(found.imported) not in MAY_IMPORT[part(found.importer)].split()
        and found.imported != "engram"
    ]
    assert not breaches, "\n".join(breaches)


def test_the_package_itself_gives_nothing_but_its_version() -> None:
    """`from engram import train` inside the package would go round the directions."""
    breaches = []
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "engram" and part(module) != "testing":
                names = {alias.name for alias in node.names} - {"__version__"}
                breaches += [f"{module}: {name}" for name in names if f"engram.{name}" not in MODULES]
    assert not breaches, "\n".join(breaches)


def test_every_part_is_listed() -> None:
    assert {part(module) for module in MODULES} - {"testing"} <= set(MAY_IMPORT)


def test_no_circles_between_modules() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for found in IMPORTS:
        if not found.typing_only and found.imported not in (found.importer, "engram"):  # which gives its version alone
            graph[found.importer].add(found.imported)
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, "a circle: " + " -> ".join([*trail[trail.index(module) :], module])
        if module not in done:
            for imported in sorted(graph[module]):
                visit(imported, (*trail, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


def test_names_say_what_is_inside() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    found = [str(path) for path in (SOURCE / "engram").rglob("*") if path.stem in vague]
    assert not found


@pytest.mark.parametrize("module", MODULES)
def test_nothing_that_runs_code_from_files(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"} & set(names), module
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("eval", "exec", "torch.load", "torch.save"), f"{module}:{node.lineno} calls {called}"
            allowed = [k for k in node.keywords if k.arg == "allow_pickle" and ast.unparse(k.value) != "False"]
            assert not allowed, f"{module}:{node.lineno} allows pickle"


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint('\\n'.join(m for m in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import engram", {"torch", "polars", "PIL", "numpy", "click", "rich"}),
        ("import engram.core", {"torch"}),
        ("import engram.data.source, engram.data.table", {"torch"}),
        ("from engram.cli import cli\ntry: cli(['--help'])\nexcept SystemExit: pass", {"torch", "polars", "PIL"}),
    ],
)
def test_start_up_is_lazy(statement: str, absent: set[str]) -> None:
    assert not absent & loaded_after(statement)


def test_a_verb_stays_a_function_when_its_folder_is_imported() -> None:
    code = "import engram, engram.train, engram.train as t\nassert callable(engram.train), engram.train"
    subprocess.run([sys.executable, "-c", code], check=True)
