"""One of several processes that train a tiny network together: `python team_run.py RUN OPTIONS`, as torchrun starts it.

Writes what it ends with to RUN/rank-N.safetensors. OPTIONS is JSON; see `main`.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import sys
import weakref

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from engram.core.rundir import RunDirectory
from engram.core.task import Batch, Step, Task
from engram.data.examples import Examples
from engram.optim.build import Optimization
from engram.train import distributed
from engram.train.callbacks.callback import Callback
from engram.train.callbacks.checkpointing import Checkpointing
from engram.train.callbacks.evaluation import Evaluation
from engram.train.callbacks.pacing import Pacing
from engram.train.callbacks.rollback import Rollback
from engram.train.checkpoint import load_newest, separate
from engram.train.decisions import Decisions
from engram.train.plan import Plan
from engram.train.trainer import Trainer


class Line(Task):
    """y = 3x, each example counting by its own weight; this process has memory for `most` examples at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.metrics = (Error(),)

    def step(self, model: nn.Module, batch: Batch) -> Step:
        output = model(batch.x)
        if model.training and len(batch) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        loss = ((output - 3 * batch.x) ** 2)[:, 0] * batch.importance
        return Step(loss.sum(), weight=batch.importance.sum(), output=output)


class Error:
    name, higher_is_better = "error", False

    def update(self, output: torch.Tensor, batch: Batch) -> dict[str, np.ndarray]:
        return {"rows": batch.rows, "error": (output - 3 * batch.x).detach().square()[:, 0].numpy()}

    def compute(self, statistics: dict[str, np.ndarray]) -> float:
        assert statistics["rows"].tolist() == list(range(100, 131)), "every row once, in order"
        return float(statistics["error"].mean())


class Numbers(Examples):
    """Row r is the number r / 100."""

    def __init__(self, nan: tuple[int, int] | None = None) -> None:
        super().__init__({}, {}, {"train": np.arange(100), "val": np.arange(100, 131)})
        self.nan = nan

    def batch(self, rows: np.ndarray, *, augmentation=None, seed=0, epoch=0) -> Batch:
        x = torch.tensor(rows / 100).float()[:, None]
        if self.nan is not None and np.isscalar(epoch) is False:
            x[torch.from_numpy((rows == self.nan[0]) & (epoch == self.nan[1]))] = math.nan
        return Batch(rows=rows, x=x, importance=1 + x[:, 0].detach().abs())


class Network(nn.Module):
    """With dropout, batch statistics, and a layer that only some examples use."""

    def __init__(self) -> None:
        super().__init__()
        first = nn.Linear(1, 16, bias=False)  # BatchNorm takes a bias out again: its gradient is rounding alone
        self.body = nn.Sequential(first, nn.BatchNorm1d(16), nn.Dropout(0.2), nn.Linear(16, 16), nn.Tanh())
        self.head, self.rare, self.unused = nn.Linear(16, 1), nn.Linear(16, 1), nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.body(x)
        rare = x[:, 0] > 0.95
        return self.head(hidden) + (self.rare(hidden) * rare[:, None] if rare.any() else 0)


class Meddle(Callback):
    """Dies at a step, or waits there for a signal."""

    def __init__(self, die_at: int | None) -> None:
        self.die_at = die_at

    def after_step(self, trainer: Trainer, *, loss: float, learning_rate: float) -> None:
        if trainer.pace.step == self.die_at:
            os._exit(9)


def make(run: RunDirectory, team: distributed.Team, options: dict) -> Trainer:
    torch.manual_seed(team.rank)  # each begins with other weights: the first process's count
    mine = options.get("ranks", {}).get(str(team.rank), {})
    plan = Plan(
        batch_size=20, micro_batch=options.get("micro_batch", 10), steps=options.get("steps", 20),
        optimizer=Optimization(average_decay=0.9, clip_norm=1.0),
    )  # fmt: skip
    seconds = 1000.0 if team.leads else 0.0  # by whose clock there is time
    pacing = [Pacing(lambda: seconds, most=options["most_steps"])] if "most_steps" in options else []
    nan = options.get("nan")
    callbacks = [Rollback(run), *pacing, Evaluation(every=0.3), Meddle(mine.get("die_at")), Checkpointing(run)]
    callbacks[-1].interval = options.get("interval", 30.0)
    trainer = Trainer(
        Line(mine.get("most", 100)), Network(), Numbers(tuple(nan) if nan else None), plan, callbacks=callbacks,
        decisions=Decisions.open(run, writing=team.leads), team=team,
    )  # fmt: skip
    if (newest := load_newest(run)) is not None:
        trainer.restore(newest)
    return trainer


def insist_on_an_end(group: list[weakref.ref]) -> None:
    """Exit with 7 where a team's group outlives it: whether a thread of it lets go of a tensor too late is chance."""
    if any(made() is not None for made in group):
        os._exit(7)


def main() -> None:
    group: list[weakref.ref] = []
    atexit.register(insist_on_an_end, group)  # before the team's own ending, so that it comes after
    run, options = RunDirectory(sys.argv[1]), json.loads(sys.argv[2])
    team = distributed.team()
    if team.size > 1:
        group.append(weakref.ref(torch.distributed.group.WORLD))
    trainer = make(run, team, options)
    trainer.fit()
    tensors = separate({**trainer.model.state_dict(), "step": torch.tensor(trainer.pace.step)})
    save_file(tensors, run / f"rank-{team.rank}.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
