"""Network, floor and blend compete on validation rows for what is delivered.

Shapes: N examples, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from engram.core.task import Batch, Task
from engram.evaluate import calibration, comparison
from engram.models.delivered import standardised
from engram.predict.answering import output_of

PRIOR, PRIOR_SPREAD = 0.3, 0.2
"""Of the network's share, so that a few validation rows do not decide: with few texts a share of 0.2 to 0.35 was best
by accuracy in cross-validation (LOG.md, 2026-11-25). Many rows outweigh it."""

SHARES = np.linspace(0, 1, 21)

NEAR, WORTH = 0.25, 2.0
"""So near to one of the two alone, a blend has to lower the loss by so many nats, the price of what it adds."""


RANKED = 5_000
"""Examples by which rankings compete, at most."""


@dataclass(frozen=True)
class Choice:
    """chosen: "network", "floor" or "blend". floor: its name. share: how much the network counts.

    temperatures: the network's and the floor's, by which logits are divided before they are blended.
    """

    chosen: str
    floor: str
    share: float
    temperatures: tuple[float, float]


def choose(task: Task, network_NC: np.ndarray, floors: Mapping[str, np.ndarray], label: np.ndarray) -> Choice:
    """Return what to deliver, by logits on validation rows.

    The share is that of the least loss, held towards what is usual by a prior. The blend is delivered unless it is
    hardly other than one of the two, or one of the two is better by the task's first metric, beyond noise.
    """
    assert task.calibration is not None, "only logits can be blended"
    found = {name: _share(network_NC, floor_NC, label, task.calibration) for name, floor_NC in floors.items()}
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


def choose_ranking(
    task: Task, network: nn.Module, floors: Mapping[str, nn.Module], batches: Iterable[Batch]
) -> Choice:
    """Return what to deliver of scores that only rank, by the task's first metric on validation rows.

    The scores of each example are standardised and mixed. A share is judged by its neighbours too, so that a few rows
    do not decide.
    """
    metric, kept = task.metrics[0], {name: [[] for _ in SHARES] for name in floors}  # type: ignore[var-annotated]
    for batch in batches:
        network_BI = standardised(_scores(task, network, batch))
        for name, floor in floors.items():
            floor_BI = standardised(_scores(task, floor, batch))
            for found, share in zip(kept[name], SHARES, strict=True):
                mixed_BI = torch.lerp(floor_BI, network_BI, float(share))
                ranked = task.predict(lambda *inputs: mixed_BI, batch, task.options())  # type: ignore[arg-type] # noqa: B023
                found.append(metric.update(ranked, batch))
    best: dict[str, tuple[float, float]] = {}
    for name, by_share in kept.items():
        values = [metric.compute({k: np.concatenate([p[k] for p in parts]) for k in parts[0]}) for parts in by_share]
        smooth = np.convolve(np.pad(values, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
        place = int(np.argmax(smooth if metric.higher_is_better else -smooth))
        best[name] = (float(smooth[place]), float(SHARES[place]))
    name = max(best, key=lambda one: best[one][0] if metric.higher_is_better else -best[one][0])
    share = best[name][1]
    chosen = {0.0: "floor", 1.0: "network"}.get(share, "blend")
    return Choice(chosen, name, share, (1.0, 1.0))


def _scores(task: Task, module: nn.Module, batch: Batch) -> torch.Tensor:
    """The scores of all items, none left out."""
    scores: torch.Tensor = output_of(task.graph, task, module, batch)[0].float()
    return scores


def blended(
    network_NC: np.ndarray, floor_NC: np.ndarray, share: float, temperatures: tuple[float, float]
) -> np.ndarray:
    """Return blended logits (N, C), as `Delivered` makes them."""
    mixed: np.ndarray = share * network_NC / temperatures[0] + (1 - share) * floor_NC / temperatures[1]
    return mixed.astype(np.float32)


def _share(
    network_NC: np.ndarray, floor_NC: np.ndarray, label: np.ndarray, kind: str
) -> tuple[float, float, tuple[float, float]]:
    """Return (loss, share, temperatures) of the best blend with one floor."""
    alone = [calibration.fit(logits_NC, label, kind=kind).temperature for logits_NC in (network_NC, floor_NC)]
    temperatures = (alone[0], alone[1])
    losses = [
        calibration.total_loss(blended(network_NC, floor_NC, share, temperatures), label, kind=kind)
        + ((share - PRIOR) / PRIOR_SPREAD) ** 2 / 2
        for share in SHARES
    ]
    best = int(np.argmin(losses))
    return losses[best], float(SHARES[best]), temperatures


def _loss(logits_NC: np.ndarray, label: np.ndarray, task: Task) -> float:
    """The loss summed over rows, at the best temperature."""
    kind = task.calibration or ""
    return calibration.total_loss(
        logits_NC / calibration.fit(logits_NC, label, kind=kind).temperature, label, kind=kind
    )


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
        "floor": f"the floor {choice.floor} alone",
        "blend": f"a blend, {choice.share:.0%} network and {1 - choice.share:.0%} {choice.floor}",
    }[choice.chosen]
    reached = f"{metric} {scores['metrics'][metric]['value']:.4f}"
    return f"Delivered is {what}: {reached} (network alone {network:.4f}, {choice.floor} alone {floor:.4f})."
