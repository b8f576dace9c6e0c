"""Find parts by name: a part's name is its file's name.

`engram/tasks/image_classification.py` holds the class `ImageClassification`, and is found as
"image_classification" without being listed anywhere. Other packages add parts through the entry
point group of the same name as the package (`engram.tasks`, `engram.models`, ...).
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from engram.core.errors import unknown


def snake_case(class_name: str) -> str:
    """`ImageClassification` -> `image_classification`."""
    letters = [f"_{c.lower()}" if c.isupper() else c for c in class_name]
    return "".join(letters).lstrip("_")


@cache
def _plugins(package: str) -> dict[str, EntryPoint]:
    """Parts that other packages add, by name; all that is installed is gone through for them, which takes a while."""
    return {entry.name: entry for entry in entry_points(group=package)}


def names(package: str, *, base: str) -> list[str]:
    """Return the names of a package's parts; `base` is the file that holds their common base class."""
    module = importlib.import_module(package)
    own = {m.name for m in pkgutil.iter_modules(module.__path__)} - {base, *getattr(module, "NOT_PARTS", ())}
    return sorted(name for name in own | _plugins(package).keys() if not name.startswith("_"))


def find(package: str, name: str, *, base: str) -> Any:
    """Return the class `name` stands for in `package`; ConfigError names the nearest if there is none."""
    if name in (plugins := _plugins(package)):
        return plugins[name].load()
    if name not in names(package, base=base):
        raise unknown(package.rpartition(".")[2].rstrip("s"), name, names(package, base=base))
    module = importlib.import_module(f"{package}.{name}")
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module.__name__ and snake_case(value.__name__) == name:
            return value
    raise AssertionError(f"{module.__name__} holds no class whose name in snake case is {name!r}")
