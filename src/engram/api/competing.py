"""Network, floor and blend compete on validation rows for what is delivered.

Shapes: N examples, C classes, or values of an answer, the first of which counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from engram.core.task import Task
from engram.core.units import format_number
from engram.evaluate import calibration, comparison

SHARES = np.linspace(0, 1, 21)

NEAR, WORTH = 0.25, 2.0
"""So near to one of the two alone, a blend has to lower the loss by so many nats, the price of what it adds."""


@dataclass(frozen=True)
class Choice:
    """chosen: "network", "floor" or "blend". floor: its name. share: how much the network counts.

    temperatures: the network's and the floor's, by which logits are divided before they are blended.
    """

    chosen: str
    floor: str
    share: float
    temperatures: tuple[float, float]


def held(
    task: Task, network_NC: np.ndarray, floors: Mapping[str, np.ndarray | None], label: np.ndarray
) -> Choice | None:
    """Let the floors that may be delivered compete with the network; None where there is none."""
    may = task.competing
    offered = {name: output_NC for name, output_NC in floors.items() if name in may and output_NC is not None}
    return choose(task, network_NC, offered, label) if offered else None


def choose(task: Task, network_NC: np.ndarray, floors: Mapping[str, np.ndarray], label: np.ndarray) -> Choice:
    """Return what to deliver, by logits or numbers on validation rows.

    The share is that of the least loss, held towards what is usual by a prior. The blend is delivered unless it is
    hardly other than one of the two, or one of the two is better by the task's first metric, beyond noise.
    """
    found = {name: _share(task, network_NC, floor_NC, label) for name, floor_NC in floors.items()}
    name = min(found, key=lambda each: found[each][0])
    _, share, temperatures = found[name]
    answers = {
        "blend": blended(network_NC, floors[name], share, temperatures),
        "network": network_NC,
        "floor": floors[name],
    }
    gain = {one: _loss(answers[one], label, task) - _loss(answers["blend"], label, task) for one in answers}
    chosen = "blend"
    for one, distance in (("network", 1 - share), ("floor", share)):
        hardly = distance < NEAR and gain[one] < WORTH
        if chosen == "blend" and (hardly or _better(task, answers[one], answers["blend"], label)):
            chosen = one
    return Choice(chosen, name, {"network": 1.0, "floor": 0.0, "blend": share}[chosen], temperatures)


def blended(
    network_NC: np.ndarray, floor_NC: np.ndarray, share: float, temperatures: tuple[float, float]
) -> np.ndarray:
    """Return blended logits, or the blended number in the first place of each row (N, C), as delivered modules do."""
    network_NC, floor_NC = network_NC[:, : floor_NC.shape[1]], floor_NC
    mixed: np.ndarray = share * network_NC / temperatures[0] + (1 - share) * floor_NC / temperatures[1]
    return mixed.astype(np.float32)


def _share(
    task: Task, network_NC: np.ndarray, floor_NC: np.ndarray, label: np.ndarray
) -> tuple[float, float, tuple[float, float]]:
    """Return (loss, share, temperatures) of the best blend with one floor."""
    temperatures = (_temperature(task, network_NC, label), _temperature(task, floor_NC, label))
    usual, spread = task.usual_share
    losses = [
        _total(task, blended(network_NC, floor_NC, share, temperatures), label) + ((share - usual) / spread) ** 2 / 2
        for share in SHARES
    ]
    best = int(np.argmin(losses))
    return losses[best], float(SHARES[best]), temperatures


def _loss(output_NC: np.ndarray, label: np.ndarray, task: Task) -> float:
    """The loss summed over rows, at the best temperature."""
    return _total(task, output_NC / _temperature(task, output_NC, label), label)


def _temperature(task: Task, output_NC: np.ndarray, label: np.ndarray) -> float:
    """What logits are divided by; numbers mean what they say."""
    if task.answers.calibration == "conformal":
        return 1.0
    return calibration.fit(output_NC, label, kind=task.answers.calibration or "").temperature


def _total(task: Task, output_NC: np.ndarray, label: np.ndarray) -> float:
    """The loss summed over rows, in nats; of numbers as if errors were normal, with the spread that they have."""
    if task.answers.calibration == "conformal":
        off_N = output_NC[:, 0].astype(np.float64) - label
        return len(off_N) / 2 * math.log(max(float(np.square(off_N).mean()), 1e-300))
    return calibration.total_loss(output_NC, label, kind=task.answers.calibration or "")


def _better(task: Task, one_NC: np.ndarray, other_NC: np.ndarray, label: np.ndarray) -> bool:
    """Whether one is better than the other by the task's first metric, beyond noise."""
    metric, batch = task.metrics[0], SimpleNamespace(label=torch.from_numpy(label))
    statistics = [metric.update(torch.from_numpy(logits_NC), batch) for logits_NC in (other_NC, one_NC)]
    return comparison.paired(metric, *statistics).verdict == "better"


def told(choice: Choice, scores: Mapping[str, Any], metric: str) -> str:
    """Say what is delivered, and what the parts reach alone. scores: of one split, as `evaluate` gives them."""
    network = (scores["network"] or scores["metrics"])[metric]["value"]
    floor = scores["floors"][choice.floor][metric]["value"]
    what = {
        "network": "the network alone",
        "floor": f"{choice.floor} without the network",
        "blend": f"a blend, {choice.share:.0%} network and {1 - choice.share:.0%} {choice.floor}",
    }[choice.chosen]
    reached, network, floor = map(format_number, (scores["metrics"][metric]["value"], network, floor))
    return f"Delivered is {what}: {metric} {reached} (network alone {network}, the floor {choice.floor} {floor})."
