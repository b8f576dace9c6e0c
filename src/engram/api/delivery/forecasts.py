"""Forecasts: network, floor and blend compete by validation windows; then quantiles are moved into place.

Shapes: N windows, B of a batch, H steps ahead, C columns, A numbers of an answer, the expected value first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram.api import floors as fitted_floors
from engram.api.competing import Choice
from engram.api.delivery.kind import Exam, Fitted, Kind, Modules
from engram.api.reading import Reading
from engram.core.rundir import RunDirectory
from engram.evaluate import quantiles
from engram.evaluate.evaluation import Outputs
from engram.evaluate.forecasts import keep_forecasts
from engram.models.delivered_forecast import DeliveredForecast
from engram.predict.answering import BATCH_SIZE, answer
from engram.train.trainer import Trainer

MOST_NUMBERS = 20_000_000
"""Of answers by which parts compete and quantiles are placed."""

MANY = 2_000
"""Training windows from which on quantiles are placed by them too, all times counting alike: validation windows are of
one time of the year, and so many are not learned by heart."""

DOUBTFUL = 0.5
"""A blend may err by this share more than the floor alone, divided by the horizons of validation: few prove nothing."""

NEAR = 0.05
"""So near to one of the two, a blend is that one alone."""

USUAL, DOUBT = 0.3, 12.0
"""The network's share that a prior holds towards, and its weight in horizons: validation windows overlap and are of one
time alone, and in forecasting simple methods err little (Makridakis et al. 2020, the M4 competition)."""


@dataclass(frozen=True)
class Answers:
    """Answers to some windows beside what came: found (N, H, C, A) by module, truth (N, H, C), scale (N, C)."""

    found: dict[str, Tensor]
    truth: Tensor
    scale: Tensor

    def loss(self, value_NHC: Tensor) -> float:
        """Mean squared error in units of training."""
        off_NHC = (value_NHC - self.truth) / self.scale[:, None]
        return float(off_NHC.double().square().nanmean())


class ForecastKind(Kind):
    """Expected values and quantiles of steps ahead."""

    def fit(self, reading: Reading, trainer: Trainer, floors: Modules) -> Fitted:
        """Wrap the network, perhaps with a floor, and place its quantiles."""
        task, splits, precision = reading.task, reading.examples.splits, trainer.plan.precision
        offered = fitted_floors.offered(task, floors)
        val = answers(reading, {"network": trainer.model, **offered}, splits["val"], precision=precision)
        module = DeliveredForecast(trainer.model, num_outputs=val.truth.shape[1])
        horizons = (len(splits["val"]) + val.truth.shape[1] - 1) / val.truth.shape[1]
        choice = compete(val, list(offered), horizons=horizons) if offered else None
        if choice is not None and choice.chosen != "network":
            module.blend(floors[choice.floor], choice.floor, share=choice.share)
        module.to(trainer.device).eval()
        rows = splits["val"]
        if len(splits["train"]) >= MANY:
            rows = _evenly(np.concatenate([splits["train"], rows]), 2 * len(rows))
        placed = answers(reading, {"all": module}, rows, precision=precision)
        moved = quantiles.correction(
            placed.found["all"], placed.truth, placed.scale, independent=horizons * placed.truth.shape[2]
        )
        module.correction.copy_(moved)
        return Fitted(module, self.answered(Exam.of(reading, trainer, floors), module, splits["val"]), choice)

    def keep(self, run: RunDirectory, reading: Reading, outputs: Mapping[str, Outputs], modules: Modules) -> None:
        """Keep some forecasts of the last split, and by how much each part errs at each step ahead, for the report."""
        rows = _evenly(reading.examples.splits[list(outputs)[-1]], 500)
        found = answers(reading, modules, rows, precision="float32")
        windows: Any = reading.examples
        keep_forecasts(run, windows, _evenly(rows, len(found.truth)), found.found, found.truth, found.scale)


def answers(reading: Reading, modules: Mapping[str, nn.Module], rows: np.ndarray, *, precision: str) -> Answers:
    """What modules answer to some windows; to some of them, evenly taken, where numbers would be too many."""
    example, _ = answer(reading.task, next(iter(modules.values())), reading.examples.batch(rows[:1]))
    rows = _evenly(rows, max(1, MOST_NUMBERS // (example.numel() * len(modules))))
    found: dict[str, list[Tensor]] = {name: [] for name in modules}
    truth, scale = [], []
    for batch in reading.examples.batches(rows, size=BATCH_SIZE):
        for name, module in modules.items():
            found[name].append(answer(reading.task, module, batch, precision=precision)[0].float())
        truth.append(batch.future)
        scale.append(batch.scale)
    return Answers({name: torch.cat(parts) for name, parts in found.items()}, torch.cat(truth), torch.cat(scale))


def compete(val: Answers, floors: list[str], *, horizons: float) -> Choice:
    """Blend the network with the best floor; the share has a closed form, as the error is a square.

    horizons: how many of them validation steps hold.
    """
    network_NHC = val.found["network"][..., 0]
    name = min(floors, key=lambda one: val.loss(val.found[one][..., 0]))
    floor_NHC = val.found[name][..., 0]
    apart_NHC = (network_NHC - floor_NHC) / val.scale[:, None]
    wanted_NHC = (val.truth - floor_NHC) / val.scale[:, None]
    known = wanted_NHC.isfinite()
    product = (apart_NHC * wanted_NHC)[known].double().sum() / apart_NHC[known].double().square().sum().clamp(1e-12)
    share = (horizons * min(max(float(product), 0.0), 1.0) + DOUBT * USUAL) / (horizons + DOUBT)
    share = round(share / NEAR) * NEAR
    lost = val.loss(torch.lerp(floor_NHC, network_NHC, share)) / max(val.loss(floor_NHC), 1e-30) - 1
    chosen = "floor" if share < NEAR or lost > DOUBTFUL / horizons else "network" if share > 1 - NEAR else "blend"
    return Choice(chosen, name, {"network": 1.0, "floor": 0.0, "blend": share}[chosen], (1.0, 1.0))


def _evenly(rows: np.ndarray, most: int) -> np.ndarray:
    """So many rows at most, evenly taken."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(np.int64))]
