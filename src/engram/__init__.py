"""engram: from your data to a deep network that you can understand, trust, serve and hand on.

Every verb of the command line is one function here, loaded when it is first used:

    import engram

    trained = engram.train("photos/", budget="10m")
    engram.predict(trained.run, ["cat.jpg"])
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engram.api import (
        Callback,
        Metric,
        Step,
        TensorBoard,
        chat,
        check,
        compare,
        evaluate,
        explain,
        export,
        generate,
        inspect,
        load,
        predict,
        promote,
        recommend,
        report,
        serve,
        train,
    )
    from engram.core import errors

__version__ = "0.1.0"

_VERBS = (
    "chat",
    "check",
    "compare",
    "evaluate",
    "explain",
    "export",
    "generate",
    "inspect",
    "load",
    "predict",
    "promote",
    "recommend",
    "report",
    "serve",
    "train",
)
_PARTS = ("Callback", "Metric", "Step", "TensorBoard")

__all__ = [
    "Callback",
    "Metric",
    "Step",
    "TensorBoard",
    "__version__",
    "chat",
    "check",
    "compare",
    "errors",
    "evaluate",
    "explain",
    "export",
    "generate",
    "inspect",
    "load",
    "predict",
    "promote",
    "recommend",
    "report",
    "serve",
    "train",
]


class _Package(ModuleType):
    """Keeps the verbs functions: importing the folder `engram/train` would bind that name to the folder."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _VERBS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("engram.core.errors")
    if name not in (*_VERBS, *_PARTS):
        raise AttributeError(f"module 'engram' has no attribute {name!r}")
    return getattr(importlib.import_module("engram.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
