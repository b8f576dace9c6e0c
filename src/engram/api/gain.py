"""What mending the data gained: a run that was trained with fixes, against one of the data as it was."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import Any

from engram.api import reading
from engram.core.errors import EngramError
from engram.core.registry import find
from engram.core.rundir import RunDirectory
from engram.evaluate import predictions
from engram.predict.checking import checked


def of_fixes(run: RunDirectory) -> dict[str, Any] | None:
    """By the first metric, paired, against the newest run beside this one; None where the run has no fixes.

    What cannot be compared is said in the `sentence` too, and how to get it.
    """
    facts = run.read_run()
    if not facts["data"].get("fixes"):
        return None
    task = find(reading.TASKS, facts["task"], base="task")()
    for before in _unfixed(run, facts):
        with contextlib.suppress(EngramError):  # a damaged run, or one scored on other rows: an older one may do
            first = predictions.compare(checked(before.path), run, task.metrics)[0]
            return {"against": str(before), **asdict(first)}
    return {
        "sentence": "What the fixes gained is not known: no run beside this one was trained on the data as it was. "
        f"Train one without --apply, then: engram compare THAT {run}"
    }


def _unfixed(run: RunDirectory, facts: dict[str, Any]) -> list[RunDirectory]:
    """Finished runs in the same folder, of the same task and the same data without fixes, the newest first."""
    found = []
    for path in run.path.resolve().parent.glob("*/run.json"):
        other = RunDirectory(run.path.parent / path.parent.name)
        with contextlib.suppress(EngramError, OSError, KeyError, TypeError):  # whatever else lies there
            its = other.read_run()
            same = its["data"]["fingerprint"] == facts["data"]["fixes"]["of"] and its["task"] == facts["task"]
            if same and its["status"] == "done":
                found.append((path.stat().st_mtime, other))
    return [other for _, other in sorted(found, key=lambda one: -one[0])]
