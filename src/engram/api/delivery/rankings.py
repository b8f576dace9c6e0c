"""Rankings: network, floor and blend compete by how they rank what validation examples want.

Shapes: B examples, I items.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import nn

from engram.api import floors as fitted_floors
from engram.api.competing import SHARES, Choice
from engram.api.delivery.kind import Exam, Fitted, Kind, Modules
from engram.api.reading import Reading
from engram.core.task import Batch, Task
from engram.models.delivered_ranking import DeliveredRanking, standardised
from engram.predict.answering import BATCH_SIZE, output_of
from engram.train.trainer import Trainer

MOST_RANKED = 5_000
"""Examples by which rankings compete, at most."""


class RankingKind(Kind):
    """Scores of all items."""

    def fit(self, reading: Reading, trainer: Trainer, floors: Modules) -> Fitted:
        """Blend the network with the floor that ranks best with it, where that is better."""
        task, examples, module, choice = reading.task, reading.examples, trainer.model, None
        rows = examples.splits["val"]
        if offered := fitted_floors.offered(task, floors):
            some = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_RANKED)).astype(np.int64)]
            ordered, _ = examples.sorted(some)
            batches = examples.batches(ordered, size=examples.at_once or BATCH_SIZE)
            choice = choose_ranking(task, trainer.model, offered, batches)
            if choice.chosen != "network":
                number = _scores(task, trainer.model, examples.batch(rows[:1])).shape[1]
                module = DeliveredRanking(trainer.model, num_outputs=number, num_hidden=0)
                module.blend(floors[choice.floor], choice.floor, share=choice.share, temperatures=choice.temperatures)
                module.to(trainer.device).eval()
        return Fitted(module, self.answered(Exam.of(reading, trainer, floors), module, rows), choice)


def choose_ranking(task: Task, network: nn.Module, floors: Mapping[str, nn.Module], batches: Iterable[Batch]) -> Choice:
    """Return what to deliver of scores that only rank, by the task's first metric on validation rows.

    The scores of each example are standardised and mixed; what the task leaves out of one is left out of both. A share
    is judged by its neighbours too, so that a few rows do not decide.
    """
    metric, kept = task.metrics[0], {name: [[] for _ in SHARES] for name in floors}  # type: ignore[var-annotated]
    for batch in batches:
        network_BI = _ranked(task, network, batch)
        for name, floor in floors.items():
            floor_BI = _ranked(task, floor, batch)
            for found, share in zip(kept[name], SHARES, strict=True):
                found.append(metric.update(torch.lerp(floor_BI, network_BI, float(share)), batch))
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


def _ranked(task: Task, module: nn.Module, batch: Batch) -> torch.Tensor:
    """The standardised scores, as the task ranks by them."""
    score_BI = standardised(_scores(task, module, batch))
    ranked: torch.Tensor = task.predict(lambda *inputs: score_BI, batch, task.options())  # type: ignore[arg-type]
    return ranked
