"""written.parquet: every scored example of a run whose answers are texts, one row each.

Shapes: N examples, S of them scored at a time.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.rundir import RunDirectory
from engram.evaluate.evaluation import Outputs
from engram.metrics.metric import Metric

if TYPE_CHECKING:
    import polars

FILE = "written.parquet"
AT_ONCE = 200


def write(
    run: RunDirectory,
    outputs: Mapping[str, Outputs],
    metric: Metric,
    *,
    where: Callable[[int], str],
    source: Callable[[np.ndarray], list[str]],
    target: Callable[[np.ndarray], list[str]],
) -> None:
    """Write the answers to the run, split after split.

    metric: scores each example by itself. source, target: the texts of some rows.
    Columns: row, where, split, source, target, answer, and the metric by its name.
    """
    import polars

    frames = [
        polars.DataFrame(
            {
                "row": found.rows,
                "where": [where(int(row)) for row in found.rows],
                "split": [split] * len(found),
                "source": source(found.rows),
                "target": target(found.rows),
                "answer": [next(iter(answer.values())) for answer in found.written],
                metric.name: one_by_one(metric, found.statistics[metric.name]),
            }
        )
        for split, found in outputs.items()
        if len(found)
    ]
    content = io.BytesIO()
    polars.concat(frames, how="vertical").write_parquet(content)
    run.write(FILE, content.getvalue())


def one_by_one(metric: Metric, statistics: dict[str, Any]) -> np.ndarray:
    """Return the score of each example (N,) by itself; NaN where one has none."""
    number = len(next(iter(statistics.values())))
    parts = [np.arange(start, min(start + AT_ONCE, number)) for start in range(0, number, AT_ONCE)]
    return np.concatenate(
        [
            metric.weighted({name: values[some] for name, values in statistics.items()}, np.eye(len(some)))
            for some in parts
        ]
    )


def read(run: RunDirectory) -> polars.DataFrame | None:
    """Read a run's answers; None where it keeps none."""
    import polars

    return polars.read_parquet(run / FILE) if (run / FILE).is_file() else None
