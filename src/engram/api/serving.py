"""`serve` and `promote`: runs as a service, and which version a name of it stands for."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engram.core import machine
from engram.core.errors import ConfigError
from engram.core.rundir import RunDirectory
from engram.predict.checking import checked
from engram.serve.promotion import NAME, checked_name

NEEDED = ("fastapi", "httptools", "uvicorn")


def serve(
    runs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Mapping[str, Any] = (), **options: Any
) -> None:
    """Answer over HTTP with one run or several until told to end (SIGTERM, Ctrl-C); see `engram.serve.serving.serve`.

    runs: a run, a list of them (named after their folders, or NAME=RUN), or name -> run; none: what was promoted.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise ConfigError(
            f"serving needs a few more packages ({', '.join(missing)}). Install them with: pip install 'engram[serve]'"
        )
    opened = {checked_name(name): checked(run) for name, run in named(runs).items()}
    options["token"] = options.get("token") or os.environ.get("ENGRAM_TOKEN", "")
    machine.wait_passively()
    from engram.serve.serving import serve

    serve(opened, **options)


def named(runs: Any) -> dict[str, Any]:
    """Give each run its name: the one it comes with, or its folder's. ConfigError where two would have the same."""
    if isinstance(runs, Mapping):
        return dict(runs)
    found: dict[str, Any] = {}
    for run in [runs] if isinstance(runs, str | os.PathLike | RunDirectory) else runs:
        name, path = _name_and_path(run)
        if name in found:
            raise ConfigError(
                f"expected a name of its own for each run; two are called {name!r}. Give them as NAME=RUN"
            )
        found[name] = path
    return found


def _name_and_path(run: Any) -> tuple[str, Any]:
    name, equals, path = str(run).partition("=")
    if equals and NAME.fullmatch(name) and not Path(str(run)).exists():
        return name, path
    return Path(str(run)).resolve().name, run


def promote(run: Any, name: str, *, undo: bool = False, **options: Any) -> dict[str, Any]:
    """Let a name serve a run from now on; see `engram.serve.promotion.promote`. undo: go back to what it served before.

    With `undo`, `run` is left out (None).
    """
    from engram.serve import promotion

    if undo:
        if run is not None or options.get("least"):
            raise ConfigError("expected a name alone to go back to what it served before. Leave run and least out")
        return promotion.undo(name, **{key: value for key, value in options.items() if key == "registry"})
    if run is None:
        raise ConfigError("expected a run to promote, and the name that is to serve it")
    return promotion.promote(checked(run), name, **options)
