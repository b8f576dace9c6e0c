"""What is said of an exported model beside it and in it: what it takes, what it answers, and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engram import __version__
from engram.core import strict
from engram.core.rundir import RunDirectory
from engram.core.task import Task
from engram.export.exported import OF_KIND, OUTPUTS
from engram.predict.answering import class_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

FORMAT = 1
"""Version of this description."""

UNFAMILIAR_ABOVE = 1.0


def facts(run: RunDirectory, task: Task, features: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the description of a run's model as JSON, and the arrays that whoever feeds it needs ("ROLE/NAME")."""
    record = run.read_run()
    inputs: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for role in task.graph_inputs:
        feature = features[role]
        before, own = feature.before()
        inputs[role] = {"feature": feature.name, "varying": {str(k): v for k, v in feature.varying.items()}, **before}
        arrays |= {f"{role}/{name}": array for name, array in own.items()}
    calibrated = task.answers.calibration is not None
    return {
        "format": FORMAT,
        "exported_by": f"engram {__version__}",
        "task": task.name,
        "several_labels": task.answers.calibration == "sigmoid",
        "classes": list(class_names(task, features)),
        "inputs": inputs,
        "outputs": {name: OUTPUTS[name] for name in OF_KIND[task.answers.calibration]},
        "calibrated": calibrated,
        "views": (record.get("delivered") or {}).get("views", ["plain"]),
        "unfamiliar_above": UNFAMILIAR_ABOVE if calibrated else None,
        "run": {
            "fingerprint": strict.digest(run / "run.json"),
            "format": record["format"],
            "data": (record.get("data") or {}).get("fingerprint"),
            **{name: record[name] for name in ("engram", "torch") if name in record},
        },
    }, arrays
