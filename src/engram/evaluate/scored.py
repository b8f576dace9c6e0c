"""scored.safetensors: what metrics count of every scored example, by which runs are compared that keep no answers.

Shapes: N examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from engram.core.errors import RunError
from engram.core.rundir import RunDirectory
from engram.evaluate import comparison
from engram.evaluate.comparison import Comparison
from engram.evaluate.evaluation import Outputs
from engram.metrics.metric import Metric

FILE = "scored.safetensors"
IDENTITY, TOGETHER = "identity", "together"


def keep(
    run: RunDirectory,
    outputs: Mapping[str, Outputs],
    metrics: Sequence[Metric],
    *,
    identity: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Write what metrics count, split after split. identity: of rows, what is scored in each (`Examples.identity`)."""
    arrays: dict[str, np.ndarray] = {}
    for split, found in outputs.items():
        arrays[f"{split}/{IDENTITY}"] = identity(found.rows)
        arrays[f"{split}/{TOGETHER}"] = np.array([found.together])
        for metric in metrics:
            if metric.ranks:
                kept = found.statistics.get(metric.name, {})
                arrays |= {f"{split}/{metric.name}/{name}": values for name, values in kept.items()}
    run.write_arrays(FILE, arrays)


def compare(run_a: RunDirectory, run_b: RunDirectory, metrics: Sequence[Metric]) -> list[Comparison]:
    """Compare run B with run A on the test examples that both were scored on, or else on those of validation.

    RunError where a run keeps nothing to be compared by, DataError where they share too few examples.
    """
    a, b = _read(run_a), _read(run_b)
    split = "test" if all(f"test/{IDENTITY}" in arrays for arrays in (a, b)) else "val"
    at_a, at_b = comparison.match(*([row.tobytes() for row in arrays[f"{split}/{IDENTITY}"]] for arrays in (a, b)))
    together, names = int(a[f"{split}/{TOGETHER}"][0]), (str(run_a), str(run_b))
    found = []
    for metric in metrics:
        counted_a, counted_b = (_of(arrays, f"{split}/{metric.name}/", at) for arrays, at in ((a, at_a), (b, at_b)))
        if counted_a and counted_b:
            found.append(comparison.paired(metric, counted_a, counted_b, names=names, together=together))
    return found


def _read(run: RunDirectory) -> dict[str, np.ndarray]:
    if not (run / FILE).is_file():
        raise RunError(
            f"expected {run / FILE}, by which such runs are compared; there is none: an older version of engram has "
            "trained it, or a step of one's own. Train it again, or look at what evaluate says of both."
        )
    return run.read_arrays(FILE)


def _of(arrays: Mapping[str, np.ndarray], head: str, at: np.ndarray) -> dict[str, np.ndarray]:
    return {name.removeprefix(head): values[at] for name, values in arrays.items() if name.startswith(head)}
