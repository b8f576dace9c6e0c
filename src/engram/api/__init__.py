"""The verbs: each runs its stages one after another, within one deadline. Command line and studio only call these.

Nothing heavy is imported before a verb is used, and before the runs that it opens are seen to be harmless.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram.core import events

if TYPE_CHECKING:
    from engram.core.task import Step as Step
    from engram.metrics.metric import Metric as Metric
    from engram.train.callbacks.callback import Callback as Callback
    from engram.train.callbacks.tensor_board import TensorBoard as TensorBoard

PARTS = {
    "Callback": "engram.train.callbacks.callback",
    "Metric": "engram.metrics.metric",
    "Step": "engram.core.task",
    "TensorBoard": "engram.train.callbacks.tensor_board",
}
"""What one's own code is made of, and where it lies."""


def __getattr__(name: str) -> Any:
    if name not in PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(PARTS[name]), name)


@contextmanager
def _shown() -> Iterator[None]:
    """Within the block, events are shown on stderr where nobody else listens: a warning has to reach somebody."""
    if events.heard():
        yield
        return
    from engram.console import Terminal

    with Terminal(sys.stderr) as terminal, events.listening(terminal):
        yield


def train(data: Any = None, **options: Any) -> Any:
    """Learn from data; see `engram.api.training.train`. Returns a `Trained`."""
    if options.get("resume") is not None:
        from engram.predict.checking import check_resumable

        options["resume"] = _checked(options["resume"])
        check_resumable(options["resume"])
    if isinstance(start := options.get("start_from"), str | os.PathLike) and Path(start).is_dir():
        options["start_from"] = _checked(start)
    with _shown():
        from engram.api.training import train

        return train(data, **options)


def inspect(data: Any, **options: Any) -> Any:
    """Say what data is, what is wrong with it and what would be trained; see `engram.api.inspection.inspect`."""
    from engram.api.inspection import inspect

    return inspect(data, **options)


def wishes() -> Any:
    """Return the options by which users decide how data is seen; see `engram.core.wishes.Wish`."""
    from engram.api.wishing import known_wishes

    return known_wishes()


def load(run: Any, **options: Any) -> Any:
    """Open a run for answers; see `engram.predict.predictor.load`. Returns a `Predictor`."""
    run = _checked(run)
    from engram.api.prediction import load

    return load(run, **options)


def predict(run: Any, items: Any = None, **options: Any) -> Any:
    """Answer for items; see `engram.api.prediction.predict`. Returns a list of dictionaries."""
    run = _checked(run)
    from engram.api.prediction import predict

    return predict(run, items, **options)


def explain(run: Any, items: Any = (), **options: Any) -> Any:
    """Say what a run learned, or why it answers items as it does; see `engram.api.explaining.explain`.

    Returns an `Explanation`.
    """
    run = _checked(run)
    from engram.api.explaining import explain

    return explain(run, items, **options)


def generate(run: Any, prompt: str = "", **options: Any) -> Any:
    """Write on from a prompt; see `engram.api.writing.generate`. Returns a `Writing`: iterate over it, or `str` it."""
    run = _checked(run)
    from engram.api.writing import generate

    return generate(run, prompt, **options)


def chat(run: Any, **options: Any) -> Any:
    """Talk with a run that was trained on conversations; see `engram.api.writing.Chat`, which it returns."""
    run = _checked(run)
    from engram.api.writing import Chat

    return Chat(run, **options)


def recommend(run: Any, **options: Any) -> Any:
    """Recommend to a user, for a history, or what is like an item; see `engram.api.prediction.recommend`."""
    run = _checked(run)
    from engram.api.prediction import recommend

    return recommend(run, **options)


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


def check(model: Any, data: Any, **options: Any) -> Any:
    """Check a network of your own on one real batch; see `engram.api.checking.check`. Returns a `Checked`."""
    from engram.api.checking import check

    return check(model, data, **options)


def export(run: Any, **options: Any) -> Any:
    """Write a run's model for use elsewhere; see `engram.api.exporting.export`. Returns an `Export`."""
    run = _checked(run)
    from engram.api.exporting import export

    return export(run, **options)


def serve(runs: Any = (), **options: Any) -> None:
    """Answer over HTTP with runs until told to end; see `engram.api.serving.serve`."""
    with _shown():
        from engram.api.serving import serve

        serve(runs, **options)


def promote(run: Any, name: str, **options: Any) -> Any:
    """Let a name serve a run from now on; see `engram.api.serving.promote`. Returns a dictionary."""
    from engram.api.serving import promote

    return promote(run, name, **options)


def report(run: Any) -> Any:
    """Write a run's report again; see `engram.report`. Returns its path."""
    run = _checked(run)
    from engram.report import build

    return build(run)


def _checked(run: Any) -> Any:
    """Open a run, or refuse it; see `engram.predict.checking`."""
    from engram.predict.checking import checked

    return checked(run)
