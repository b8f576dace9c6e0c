"""The heart of training: forward, loss, backward, step.

Everything else that training needs stands around it, in `trainer.py` and the callbacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from engram.optim.build import set_learning_rate
from engram.optim.schedule import learning_rate_factor

if TYPE_CHECKING:
    from engram.train.trainer import Trainer


def train(trainer: Trainer) -> None:
    """Train until the pace says that all steps are done."""
    model, task, plan, pace = trainer.model, trainer.task, trainer.plan, trainer.pace
    parameters = [p for p in model.parameters() if p.requires_grad]
    trainer.tell("begin")
    while not pace.finished:
        model.train()
        torch.manual_seed(plan.seed * 1_000_003 + pace.step)  # dropout and noise are a function of (seed, step)
        factor = learning_rate_factor(pace.progress, warmup=plan.optimizer.warmup, final=plan.optimizer.final_rate)
        set_learning_rate(trainer.optimizers, factor)

        loss_sum = weight = 0.0
        for batch in trainer.micro_batches(pace.step):
            with trainer.autocast():
                step = task.step(model, batch)
            (step.loss_sum / plan.batch_size).backward()
            loss_sum, weight = loss_sum + step.loss_sum.item(), weight + float(step.weight)

        if weight != plan.batch_size:
            torch._foreach_mul_([p.grad for p in parameters if p.grad is not None], plan.batch_size / weight)
        if plan.optimizer.clip_norm:
            torch.nn.utils.clip_grad_norm_(parameters, plan.optimizer.clip_norm)
        for optimizer in trainer.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        pace.advance()
        trainer.tell("after_step", loss=loss_sum / weight, learning_rate=factor)
    trainer.tell("end")
