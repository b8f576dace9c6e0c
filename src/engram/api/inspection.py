"""`inspect`: what is this data, what is wrong with it, what would be trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engram.api import doubtful_labels, planning, reading
from engram.api.requests import DataRequest, PlanRequest, taken
from engram.core import events, machine
from engram.core.deadline import Deadline
from engram.core.errors import BudgetError, ConfigError
from engram.core.evidence import Finding
from engram.data import fixes as data_fixes
from engram.data.examples import namespace
from engram.data.stored import is_named


@dataclass(frozen=True)
class Inspection:
    """What was found. plan: name -> {"value", "reason"}; empty where nothing can be trained, as findings say.

    fixes: what may be done row by row, as the lines of a file of fixes (`engram.data.fixes`).
    """

    task: str
    notes: list[str]
    findings: list[Finding]
    summary: dict[str, Any]
    plan: dict[str, Any] = field(default_factory=dict)
    fixes: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        return {**vars(self), "findings": [finding.record() for finding in self.findings]}


def inspect(data: Any, *, fixes: str | Path | None = None, thorough: bool = False, **options: Any) -> Inspection:
    """Read and examine data as training would, and plan, without training.

    thorough: look for wrong labels too, by small networks that learn from one part of the data and are asked about
    the other (about 45 seconds). fixes: a new CSV file to write the proposed fixes to; it implies `thorough`.
    options: those of `DataRequest`, its wishes included, and of `PlanRequest`, as for `train`.
    """
    if fixes is not None and Path(fixes).exists():
        raise ConfigError(f"expected a new file for the fixes; {fixes} is there already. Name another.")
    wanted, asked = taken(PlanRequest, options), DataRequest.of(options)
    limit = wanted.time_limit()
    with machine.keeping_memory(), events.listening():
        read = reading.read(data, asked)
        planning.follow_recipe(read, wanted.recipe)
        plan: dict[str, Any] = {}
        findings = list(read.findings)
        if not any(finding.severity == "error" for finding in findings):
            try:
                planned = planning.make_plan(read, Deadline(limit), wanted, seed=asked.seed, try_out=False)
                plan = planned.plan.described()
            except BudgetError as error:
                findings.append(Finding("error", "budget", str(error)))
            if thorough or fixes is not None:
                findings += doubtful_labels.find(read, device=wanted.device)
    proposed = _proposed(read, findings)
    if fixes is not None:
        data_fixes.write(fixes, proposed)
    return Inspection(read.task.name, read.reasons, findings, _summary(read), plan, proposed)


def _proposed(read: reading.Reading, findings: list[Finding]) -> list[dict[str, Any]]:
    """The fixes of all findings, one a row."""
    inputs, target = next(iter(read.task.inputs)), next(iter(read.task.target), "")
    labels = read.view.labels if read.view is not None else read.roles.get(target)
    chosen = data_fixes.gathered(findings)
    return data_fixes.described(chosen, read.table, read.roles[inputs], labels.values if labels is not None else None)


def _summary(read: reading.Reading) -> dict[str, Any]:
    """Counts per split and class, and what the network would see."""
    examples = read.by_row or read.examples
    label = next(iter(read.task.target), "")
    classes: dict[str, dict[str, int]] = {}
    if label in examples.stored and is_named(examples.stored[label]):
        feature: Any = examples.features[label]
        for split, rows in examples.splits.items():
            encoded = np.asarray(feature.encode(examples.stored[label].gather(rows)))
            known = encoded[encoded >= 0] if encoded.ndim == 1 else None
            counts = np.bincount(known, minlength=feature.size) if known is not None else (encoded > 0.5).sum(0)
            classes[split] = dict(zip(feature.names, counts.astype(int).tolist(), strict=True))
    features = vars(namespace(examples.features))
    usable = np.sort(np.concatenate(list(examples.splits.values())))
    return {
        "origin": read.table.origin,
        "rows": {split: len(rows) for split, rows in examples.splits.items()},
        "classes": classes,
        "columns": {role: column.name for role, column in read.roles.items()},
        "seen": {role: list(feature.shape) for role, feature in features.items() if hasattr(feature, "shape")},
        "values": {
            role: told for role, stored in examples.stored.items() if (told := features[role].summary(stored, usable))
        },
        "unreadable": sum(len(stored.problems) for stored in examples.stored.values()),
    }
