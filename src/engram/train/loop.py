"""The heart of training: forward, loss, backward, step.

Everything else that training needs stands around it, in `trainer.py` and the callbacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from engram.core.memory import shortage
from engram.optim.build import clip_gradients, set_learning_rate
from engram.optim.schedule import learning_rate_factor
from engram.train.callbacks.callback import Retake

if TYPE_CHECKING:
    from engram.train.trainer import Trainer


def train(trainer: Trainer) -> None:
    """Train until the pace says that all steps are done."""
    trainer.tell("begin")
    while not trainer.pace.finished:
        try:
            take_step(trainer)
        except Retake:  # memory ran out, or a loss is out of line: the trainer stands where to go on
            continue
    trainer.tell("end")


def take_step(trainer: Trainer) -> None:
    """Learn from one batch."""
    plan, progress = trainer.plan.optimizer, trainer.pace.progress
    factor = trainer.decisions.rate * learning_rate_factor(progress, warmup=plan.warmup, final=plan.final_rate)
    set_learning_rate(trainer.optimizers, factor)

    loss = backward(trainer)
    norm = clip_gradients(trainer.parameters, plan.clip_norm)
    trainer.tell("before_update", loss=loss, gradient_norm=norm)
    for optimizer in trainer.optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    trainer.advance()
    trainer.tell("after_step", loss=loss, learning_rate=factor)


def backward(trainer: Trainer) -> float:
    """Leave the gradients of the mean loss over the batch, and return that loss."""
    model, task, batch_size = trainer.model, trainer.task, trainer.plan.batch_size
    trainer.begin_step()
    loss_sum = weight = 0.0
    with shortage() as memory:
        for batch in trainer.micro_batches(trainer.pace.step):
            with trainer.autocast():
                step = task.step(model, batch)
            (step.loss_sum / batch_size).backward()
            loss_sum, weight = loss_sum + step.loss_sum.item(), weight + float(step.weight)

    loss_sum, weight, short = trainer.gradients.sums(loss_sum, weight, memory.failed)
    if short:
        trainer.take_smaller_pieces()
    if weight != batch_size:
        torch._foreach_mul_([p.grad for p in trainer.parameters if p.grad is not None], batch_size / weight)
    return loss_sum / weight
