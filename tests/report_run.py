"""A whole run, made by hand within a second: pictures of marks, a network that tells them apart, what a run keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from engram.core.rundir import RunDirectory
from engram.core.task import Task
from engram.data.examples import Examples, namespace
from engram.data.store import prepare
from engram.data.table import Column
from engram.evaluate import calibration, unfamiliarity
from engram.evaluate.evaluation import Outputs, collect, evaluate
from engram.evaluate.predictions import write as write_predictions
from engram.features import saved
from engram.models import build
from engram.models.delivered import Delivered, hidden_width
from engram.tasks.image_classification import ImageClassification
from engram.tasks.image_tagging import ImageTagging

HOSTILE = ["<script>alert(1)</script>", "a|b & 'c'", '"><img src=x onerror=alert(2)>', "plain"]
"""Names of classes that must not become part of a page."""

MARKS = (np.s_[2:5, 2:14], np.s_[2:14, 2:5], np.s_[11:14, 2:14], np.s_[2:14, 11:14])


def examples(task: Task, names: list[str], *, number: int = 240, channels: int = 1) -> Examples:
    """Pictures of 16 × 16 with one mark, or several, on noise."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 60, (number, 16, 16, channels)).astype(np.uint8)
    several = isinstance(task, ImageTagging)
    labels: list[Any] = []
    for picture in pixels:
        chosen = (
            [c for c in range(len(names)) if random.random() < 0.5] if several else [int(random.integers(len(names)))]
        )
        for c in chosen:
            picture[MARKS[c]] += 170
        labels.append([names[c] for c in chosen] if several else names[chosen[0]])
    columns = {
        "image": Column("image", pixels, "array"),
        "label": Column("label", labels, "names" if several else "text"),
    }
    features = {"image": task.inputs["image"](channels=channels, size=(16, 16)), "label": task.target["label"]()}
    stored = {role: prepare(column, features[role]) for role, column in columns.items()}
    thirds = {"train": np.arange(number // 2), "val": np.arange(number // 2, 3 * number // 4)}
    splits = {**thirds, "test": np.arange(3 * number // 4, number)}
    for role, feature in features.items():
        feature.fit(stored[role], splits["train"])
    return Examples(features, stored, splits)


def learned(task: Task, data: Examples, network: nn.Module, *, steps: int = 12) -> nn.Module:
    """Learn a little: enough to be right often, and wrong sometimes."""
    batch = data.batch(data.splits["train"])
    if hasattr(network, "initialise"):
        network.initialise(batch.image)
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=3e-3)
    network.train()
    for _ in range(steps):
        optimizer.zero_grad()
        step = task.step(network, batch)
        (step.loss_sum / step.weight).backward()
        optimizer.step()
    return network.eval()


def make(
    path: Path,
    *,
    task: Task | None = None,
    names: list[str] | None = None,
    network: nn.Module | None = None,
    channels: int = 1,
) -> RunDirectory:
    """Write a run with everything that training leaves in it. network: None for a small convolutional one."""
    torch.manual_seed(0)
    task, names = task or ImageClassification(), names or HOSTILE
    data = examples(task, names, channels=channels)
    if network is None:
        network = build.named(
            "conv_net", input_shape=(channels, 16, 16), num_classes=len(names), widths=(8, 16), depth=1
        )
    else:
        network.record = {"factory": type(network).__name__, "arguments": {}}
    module = Delivered(learned(task, data, network), num_outputs=len(names), num_hidden=hidden_width(network)).eval()
    _fit(task, module, data)
    outputs = {split: collect(task, module, data, data.splits[split]) for split in ("val", "test")}
    run = RunDirectory(path).create()
    saved.save(run, data.features, {"image": "image", "label": "label"})
    run.write_arrays("model.safetensors", {key: value.numpy() for key, value in module.state_dict().items()})
    image = data.features["image"]
    write_predictions(
        run, outputs, data.features["label"].names, where=lambda row: f"folder/{row}.png",
        traits=lambda rows: {**image.traits(data.stored["image"], rows), "a<b>": ["<i>x</i>"] * len(rows)},
    )  # fmt: skip
    rows = np.arange(number(data))
    batch = data.batch(rows)
    seen = np.isin(rows, data.splits["train"])
    facts = {"rows": rows, "label": np.asarray(batch.label), "even": ~seen, "learned": seen}
    run.write_arrays("examples.safetensors", {**facts, "image": np.stack(image.decode(batch.image))})
    _record(run, task, module, outputs, data)
    _tell(run)
    return run


def number(data: Examples) -> int:
    """How many examples there are."""
    return sum(map(len, data.splits.values()))


def _fit(task: Task, module: Delivered, data: Examples) -> None:
    with torch.no_grad():
        train, val = (data.batch(data.splits[name]) for name in ("train", "val"))
        _, hidden = module.hidden(lambda m: m(train.image))
        unfamiliarity.fit_spread(module, hidden, train.label)
        logits, hidden = module.hidden(lambda m: m(val.image))
        unfamiliarity.fit_threshold(module, module.distance(hidden, logits))
    assert task.answers.calibration is not None
    calibration.fit(logits, val.label, kind=task.answers.calibration).apply(module)


def _record(run: RunDirectory, task: Task, module: Delivered, outputs: dict[str, Outputs], data: Examples) -> None:
    names = namespace(data.features).label.names
    results = {split: evaluate(task, found, names) for split, found in outputs.items()}
    first = task.metrics[0].name
    for scores in results.values():
        scores["floors"] = {"majority_class": {first: {"value": 0.25, "low": 0.2, "high": 0.3}}}
    plan = {
        "steps": 12,
        "batch_size": 120,
        "device": "cpu",
        "precision": "float32",
        "optimizer": {"warmup": 0.1},
        "seed": 0,
    }
    reasons = {"batch_size": "suits <b>120</b> examples", "optimizer.warmup": "because"}
    found = {
        "severity": "warning",
        "kind": "unbalanced",
        "message": f"beware of {names[0]}",
        "where": ["x.png"],
        "fix": "mend it",
    }
    counts = {
        "severity": "info",
        "kind": "class_counts",
        "message": "classes",
        "where": [f"{n}: 60" for n in names],
        "fix": "",
    }
    facts = {
        "engram": "0", "torch": torch.__version__, "status": "done", "task": task.name,
        "network": module.network.record, "delivered": module.record(), "seconds": 9.5, "results": results,
        "plan": {**plan, "predicted_seconds": 9.0, "reasons": reasons},
        "options": {"budget": 10.0, "data": "marks"},
        "data": {
            "origin": "marks", "fingerprint": "f", "rows": {k: len(v) for k, v in data.splits.items()},
            "reasons": ["they are <i>pictures</i>"], "findings": [found, counts],
        },
    }  # fmt: skip
    run.seal(**facts)


def _tell(run: RunDirectory) -> None:
    """Write the events of a training."""
    told: list[dict[str, Any]] = [{"event": "note", "message": "Hello."}]
    for step in range(1, 13):
        told.append(
            {"event": "step", "step": step, "steps": 12, "epoch": step, "loss": 2.0 / step,
             "learning_rate": 1 - step / 12,
             "examples_per_second": 900.0 + step, "seconds_left": None, "seconds": 0.1 * step}
        )  # fmt: skip
        if step % 4 == 0:
            told.append({"event": "evaluated", "step": step, "metrics": {"accuracy": step / 15}})
    (run / "metrics.jsonl").write_text("\n".join(json.dumps(event) for event in told) + '\n{"event": "st', "utf-8")
