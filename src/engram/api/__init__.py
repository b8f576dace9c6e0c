"""The verbs: each runs its stages one after another, within one deadline. Command line and studio only call these.

Nothing heavy is imported before a verb is used, and before the runs that it opens are seen to be harmless.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def train(data: Any = None, **options: Any) -> Any:
    """Learn from data; see `engram.api.training.train`. Returns a `Trained`."""
    if options.get("resume") is not None:
        from engram.predict.checking import check_resumable

        options["resume"] = _checked(options["resume"])
        check_resumable(options["resume"])
    if isinstance(start := options.get("start_from"), str | os.PathLike) and Path(start).is_dir():
        options["start_from"] = _checked(start)
    from engram.api.training import train

    return train(data, **options)


def inspect(data: Any, **options: Any) -> Any:
    """Say what data is, what is wrong with it and what would be trained; see `engram.api.inspection.inspect`."""
    from engram.api.inspection import inspect

    return inspect(data, **options)


def load(run: Any, **options: Any) -> Any:
    """Open a run for answers; see `engram.predict.predictor.load`. Returns a `Predictor`."""
    run = _checked(run)
    from engram.api.prediction import load

    return load(run, **options)


def predict(run: Any, items: Any, **options: Any) -> Any:
    """Answer for items; see `engram.api.prediction.predict`. Returns a list of dictionaries."""
    run = _checked(run)
    from engram.api.prediction import predict

    return predict(run, items, **options)


def evaluate(run: Any, data: Any = None, **options: Any) -> Any:
    """Score a run; see `engram.api.scoring.evaluate`. Returns a dictionary."""
    run = _checked(run)
    from engram.api.scoring import evaluate

    return evaluate(run, data, **options)


def compare(run_a: Any, run_b: Any) -> Any:
    """Say whether run B is better than run A, or whether it is noise; see `engram.api.scoring.compare`."""
    run_a, run_b = _checked(run_a), _checked(run_b)
    from engram.api.scoring import compare

    return compare(run_a, run_b)


def report(run: Any) -> Any:
    """Write a run's report again; see `engram.report`. Returns its path."""
    run = _checked(run)
    from engram.report import build

    return build(run)


def _checked(run: Any) -> Any:
    """Open a run, or refuse it; see `engram.predict.checking`."""
    from engram.predict.checking import checked

    return checked(run)
