"""`inspect`: what is this data, what is wrong with it, what would be trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from engram.api import planning, reading
from engram.core import events, machine
from engram.core.deadline import Deadline
from engram.core.errors import BudgetError
from engram.core.evidence import Finding
from engram.data.examples import namespace


@dataclass(frozen=True)
class Inspection:
    """What was found. plan: name -> {"value", "reason"}; empty where nothing can be trained, as findings say."""

    task: str
    notes: list[str]
    findings: list[Finding]
    summary: dict[str, Any]
    plan: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        return asdict(self)


def inspect(
    data: Any,
    *,
    task: str | None = None,
    target: Any = None,
    input: Any = None,
    split: str | None = None,
    group: str | None = None,
    budget: str | float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    model: Any = None,
    size: str | None = None,
    device: str | None = None,
    seed: int = 0,
    recipe: str = "standard",
    settings: dict[str, Any] | None = None,
) -> Inspection:
    """Read and examine data as training would, and plan, without training. Options as for `train`."""
    limit = planning.time_limit(budget=budget, epochs=epochs, steps=steps)
    planning.refuse_wrong(size=size, model=model, device=device, recipe=recipe, settings=settings)
    with machine.keeping_memory(), events.listening():
        read = reading.read(data, task=task, target=target, input=input, split=split, group=group, seed=seed)
        planning.follow_recipe(read, recipe)
        plan: dict[str, Any] = {}
        findings = list(read.findings)
        if not any(finding.severity == "error" for finding in findings):
            try:
                planned = planning.make_plan(
                    read, Deadline(limit), epochs=epochs, steps=steps, size=size, model=model, device=device, seed=seed,
                    recipe=recipe, settings=settings, try_out=False,
                )  # fmt: skip
                plan = planned.plan.described()
            except BudgetError as error:
                findings.append(Finding("error", "budget", str(error)))
    return Inspection(read.task.name, read.reasons, findings, _summary(read), plan)


def _summary(read: reading.Reading) -> dict[str, Any]:
    """Counts per split and class, and what the network would see."""
    examples = read.examples
    label = next(iter(read.task.target), "")
    classes: dict[str, dict[str, int]] = {}
    if label in examples.stored:
        feature: Any = examples.features[label]
        for split, rows in examples.splits.items():
            encoded = np.asarray(feature.encode(examples.stored[label].gather(rows)))
            known = encoded[encoded >= 0] if encoded.ndim == 1 else None
            counts = np.bincount(known, minlength=feature.size) if known is not None else (encoded > 0.5).sum(0)
            classes[split] = dict(zip(feature.names, counts.astype(int).tolist(), strict=True))
    features = vars(namespace(examples.features))
    return {
        "origin": read.table.origin,
        "rows": {split: len(rows) for split, rows in examples.splits.items()},
        "classes": classes,
        "columns": {role: column.name for role, column in read.roles.items()},
        "seen": {role: list(feature.shape) for role, feature in features.items() if hasattr(feature, "shape")},
        "unreadable": sum(len(stored.problems) for stored in examples.stored.values()),
    }
