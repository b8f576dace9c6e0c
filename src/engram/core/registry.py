"""Find parts by name: a part's name is its file's name.

`engram/tasks/image_classification.py` holds the class `ImageClassification`, and is found as
"image_classification" without being listed anywhere. Other packages add parts through the entry
point group of the same name as the package (`engram.tasks`, `engram.models`, ...).
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import Any

from engram.core.errors import unknown


def snake_case(class_name: str) -> str:
    """`ImageClassification` -> `image_classification`."""
    letters = [f"_{c.lower()}" if c.isupper() else c for c in class_name]
    return "".join(letters).lstrip("_")


def names(package: str, *, base: str) -> list[str]:
    """Return the names of a package's parts; `base` is the file that holds their common base class."""
    module = importlib.import_module(package)
    own = {m.name for m in pkgutil.iter_modules(module.__path__)} - {base, *getattr(module, "NOT_PARTS", ())}
    plugins = {entry.name for entry in entry_points(group=package)}
    return sorted(name for name in own | plugins if not name.startswith("_"))


def find(package: str, name: str, *, base: str) -> Any:
    """Return the class `name` stands for in `package`; ConfigError names the nearest if there is none."""
    for entry in entry_points(group=package):
        if entry.name == name:
            return entry.load()
    if name not in names(package, base=base):
        raise unknown(package.rpartition(".")[2].rstrip("s"), name, names(package, base=base))
    module = importlib.import_module(f"{package}.{name}")
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module.__name__ and snake_case(value.__name__) == name:
            return value
    raise AssertionError(f"{module.__name__} holds no class whose name in snake case is {name!r}")
