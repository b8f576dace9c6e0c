"""Labels in doubt: what small models that never saw an example's label say that it is, against what it is said to be.

The data is divided into parts; for each part a small network learns from the others for a moment and answers, or the
floor, where that is good enough to be delivered (confident learning, Northcutt et al. 2021, arXiv:1911.00068).

Shapes: N rows, C classes.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from engram.api import floors as fitted_floors
from engram.api import networks, planning
from engram.api.reading import Reading
from engram.core import events
from engram.core.evidence import Finding, Fix
from engram.data import doctor
from engram.data.examples import Examples, namespace
from engram.evaluate.doubts import doubts
from engram.evaluate.evaluation import collect, probabilities
from engram.predict.answering import answer
from engram.train.callbacks.callback import Callback
from engram.train.plan import SIZES, Plan
from engram.train.trainer import Trainer

SECONDS = 45.0
"""Time for all opinions together, about: 1.3 passes over 70,000 small pictures on two cores find label noise of 10
and 20 % with an AUROC of .99 (LOG.md)."""

MANY = 10_000
PARTS = {"few": 5, "many": 2}
"""Where rows are few, a network must learn from most of them to have an opinion; where they are many, from half."""

FLOOR_ROUNDS = 3
"""Wrong labels spoil the opinions on others: of 20 % in sst2 one round finds .82, three .84 (LOG.md)."""

LEAST_BELIEVED = 0.5
"""Share of the labels."""

MOST_PASSES = 30
BATCH_SIZE = 256
ANSWERED = 1000
SHOWN = 5
MANY_DOUBTS = 0.03
"""Of sound data, too, a share of labels looks doubtful to such a network: 1.8 % of fashion_mnist's."""


def find(reading: Reading, *, seconds: float = SECONDS, device: str | None = None) -> list[Finding]:
    """Return the finding of labels that are probably wrong, with a fix for each; none where nothing is in doubt.

    It takes about `seconds`. Only labels that exclude one another are examined.
    """
    role = next(iter(reading.task.target), "")
    if reading.task.answers.calibration != "softmax" or role not in reading.examples.stored:
        return []
    with events.stage("looking for wrong labels"):
        rows, label_N, opinion_NC = opinions(reading, seconds=seconds, device=device)
    found = doubts(opinion_NC, label_N)
    if not len(found.rows):
        return []
    feature: Any = reading.examples.features[role]
    fixes = []
    for at, said, sure, score in zip(found.rows, found.answer, found.sure, found.score, strict=True):
        reason = f"looks like {feature.names[said]}, not {feature.names[label_N[at]]}"
        action = "relabel" if sure else "keep"
        fixes.append(Fix(int(rows[at]), action, reason, feature.names[said], float(score)))
    column = reading.roles[next(iter(reading.task.inputs))]
    where = tuple(f"{column.where(fix.row)}: {fix.reason}" for fix in fixes[:SHOWN])
    finding = Finding(
        "warning" if len(fixes) > MANY_DOUBTS * len(rows) else "info",
        "doubtful_labels",
        f"{len(fixes):,} labels ({len(fixes) / len(rows):.1%}) are in doubt, the most doubtful first",
        where,
        "look at them; --fixes FILE writes them all",
        tuple(fixes),
    )
    return [doctor.sparing(finding, reading.table)]


def opinions(
    reading: Reading, *, seconds: float = SECONDS, device: str | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labelled rows (N,), their labels (N,) and probabilities (N, C), given by networks that have not learned
    from the row, nor from a copy of it.

    Floors, which take little time, learn again from labels that are believed so far, in other parts each time; the mean
    of all rounds is given.
    """
    began, examples, role = time.monotonic(), reading.examples, next(iter(reading.task.target))
    rows = np.sort(np.concatenate(list(examples.splits.values())))
    label_N = np.asarray(examples.features[role].encode(examples.stored[role].gather(rows)))
    rows, label_N = rows[label_N >= 0], label_N[label_N >= 0]
    number = PARTS["many" if len(rows) >= MANY else "few"]
    ask, rounds = _floor_or_network(reading, device)
    labels: Any = examples.features[role]
    total_NC, believed_N = np.zeros((len(rows), labels.size), np.float32), np.ones(len(rows), bool)
    for step in range(rounds * number):
        if step % number == 0:
            part_N = _parts(reading, rows, label_N, number, seed=step // number)
        asked = part_N == step % number
        left = (seconds - (time.monotonic() - began)) / (rounds * number - step)
        told = f"part {step + 1} of {rounds * number}"
        if asked.any():
            total_NC[asked] += ask(rows[~asked & believed_N], rows[asked], left, told)
        if (step + 1) % number == 0:
            believed_N = total_NC.argmax(1) == label_N
            believed_N |= believed_N.mean() < LEAST_BELIEVED  # an opinion that is against most labels is none
    return rows, label_N, total_NC / rounds


def _parts(reading: Reading, rows: np.ndarray, label_N: np.ndarray, number: int, *, seed: int) -> np.ndarray:
    """Divide rows into parts, each class evenly; copies, and rows of one group, stay together."""
    assert reading.copies is not None, "of data that was read as a table copies are known"
    together = reading.copies.leader[rows]
    if reading.table.group is not None:
        together = np.unique(np.asarray(reading.table.group)[rows], return_inverse=True)[1].reshape(-1)
    _, first, unit_N = np.unique(together, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(first))
    order = order[np.argsort(label_N[first[order]], kind="stable")]
    part = np.empty(len(first), np.int64)
    part[order] = np.arange(len(first)) % number
    return part[unit_N.reshape(-1)]


def _plan(reading: Reading, device: str | None) -> tuple[Plan, networks.Cost]:
    """Numbers for a moment's learning by a small network, and what its steps cost."""
    plan = planning.foundation(reading, device=device, seed=0, recipe="standard")
    plan.batch_size = plan.micro_batch = min(plan.batch_size, BATCH_SIZE)
    _, cost = networks.choose(
        reading, plan, size=SIZES[0], model=None, settings={"batch_size": plan.batch_size},
        seconds_left=lambda _: float("inf"),
    )  # fmt: skip
    plan.micro_batch = plan.batch_size
    return plan, cost


Ask = Callable[[np.ndarray, np.ndarray, float, str], np.ndarray]
"""Learn from some rows, and return the probabilities (asked, C) of others, within seconds. Told: which part it is."""


def _floor_or_network(reading: Reading, device: str | None) -> tuple[Ask, int]:
    """What has opinions, and in how many rounds."""
    floor = next((floor for floor in reading.task.floors if floor.deliverable), None)
    if floor is not None:
        fitted: list[nn.Module] = []  # what was chosen once suits all parts
        return lambda *asked: _of_floor(reading, floor, fitted, *asked[:3]), FLOOR_ROUNDS
    plan, cost = _plan(reading, device)

    def ask(learned: np.ndarray, asked: np.ndarray, seconds: float, told: str) -> np.ndarray:
        most = max(200, MOST_PASSES * len(learned) // plan.batch_size)
        plan.steps = int(np.clip((seconds - cost.answer * len(asked)) / cost.step, 20, most))
        return _of_network(reading, plan, learned=learned, asked=asked, told=told)

    return ask, 1


def _of_floor(
    reading: Reading, floor: Any, fitted: list[nn.Module], learned: np.ndarray, asked: np.ndarray, seconds: float
) -> np.ndarray:
    """Fit the floor on some rows; return the probabilities (asked, C) that it gives others. fitted: before this."""
    features, batches = namespace(reading.examples.features), fitted_floors.batches_of(reading, learned)
    if fitted:
        module = floor.refit(fitted[-1], batches, features, seconds=seconds)
    else:
        module = floor.fit(batches, features, seconds=seconds)
    fitted[:] = [module.eval()]
    answers = collect(reading.task, module, reading.examples, asked, metrics=())
    assert answers.logits is not None, "labels that exclude one another have logits"
    return probabilities(answers.logits, several=False)


def _of_network(reading: Reading, plan: Plan, *, learned: np.ndarray, asked: np.ndarray, told: str) -> np.ndarray:
    """Train a small network on some rows; return the probabilities (asked, C) that it gives others."""
    examples: Examples = dataclasses.replace(reading.examples, splits={"train": learned})
    features = namespace(examples.features)
    torch.manual_seed(plan.seed)
    network = reading.task.model(SIZES[0], features)
    networks.initialise(network, dataclasses.replace(reading, examples=examples))
    # Examples are not augmented: what may be changed about them (mirrored, turned) nobody has tried yet.
    trainer = Trainer(reading.task, network, examples, plan, callbacks=[_Telling(told)])
    trainer.fit()
    network.eval()
    logits = []
    for start in range(0, len(asked), ANSWERED):
        batch = examples.batch(asked[start : start + ANSWERED], roles=list(reading.task.inputs))
        logits.append(answer(reading.task, network, batch, precision=plan.precision)[0])
    return probabilities(torch.cat(logits).numpy(), several=False)


class _Telling(Callback):
    """Tells how far the learning is."""

    def __init__(self, name: str) -> None:
        self.name = f"looking for wrong labels, {name}"

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        """Tell it."""
        events.emit("progress", name=self.name, done=trainer.pace.step, total=trainer.pace.steps)
