"""Which parameter is moved by which optimizer.

Hidden weight matrices and filters: Muon. The head, embeddings, biases, gains: AdamW.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from engram.optim.muon import Divide, Muon, by_oneself


@dataclass
class Optimization:
    """The numbers of the optimizers. Rates are peak rates; see `schedule.py` for their course.

    muon_learning_rate: for hidden matrices; 0 leaves them to AdamW. rotate: see `Muon`.
    head_learning_rate, vector_learning_rate: AdamW for the last layer, and for biases and gains.
    learning_rate: AdamW for all else. vector_weight_decay: of biases and gains. clip_norm: longest gradient let
    through, 0 for no limit. warmup: share of training over which rates rise. final_rate: share of the peak rates that
    is left at the end (1: they stay constant). average_decay: of the moving average of weights, a step.
    """

    learning_rate: float = 2e-3
    muon_learning_rate: float = 0.02
    muon_momentum: float = 0.95
    rotate: bool = False
    head_learning_rate: float = 2e-3
    vector_learning_rate: float = 2e-3
    weight_decay: float = 0.01
    vector_weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.95
    clip_norm: float = 0.0
    warmup: float = 0.05
    final_rate: float = 0.0
    average_decay: float = 0.0


def optimizers(model: nn.Module, numbers: Optimization, *, divide: Divide = by_oneself) -> list[torch.optim.Optimizer]:
    """Make the optimizers of a model's trainable parameters; every parameter belongs to exactly one.

    divide: how several processes share Muon's work.
    """
    groups = grouped(model)
    if not numbers.muon_learning_rate:
        groups["other"] += groups.pop("matrices")
    rates = {
        "head": numbers.head_learning_rate,
        "vectors": numbers.vector_learning_rate,
        "other": numbers.learning_rate,
    }
    decays = {"vectors": numbers.vector_weight_decay}
    adam = [
        {"params": groups[name], "lr": rate, "weight_decay": decays.get(name, numbers.weight_decay)}
        for name, rate in rates.items()
        if groups[name]
    ]
    made: list[torch.optim.Optimizer] = []
    if groups.get("matrices"):
        made.append(
            Muon(
                groups["matrices"],
                lr=numbers.muon_learning_rate,
                momentum=numbers.muon_momentum,
                weight_decay=numbers.weight_decay,
                rotate=numbers.rotate,
                divide=divide,
            )
        )
    if adam:
        made.append(torch.optim.AdamW(adam, betas=(numbers.beta1, numbers.beta2), fused=True))
    for optimizer in made:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return made


def grouped(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Sort trainable parameters into "matrices", "vectors", "head" and "other" (first layer and embeddings)."""
    embeddings = {
        id(p) for m in model.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag) for p in m.parameters()
    }
    weights = [p for p in model.parameters() if p.ndim >= 2 and id(p) not in embeddings]
    first = id(weights[0]) if weights and not embeddings else 0
    last = id(weights[-1]) if weights else 0
    groups: dict[str, list[nn.Parameter]] = {"matrices": [], "vectors": [], "head": [], "other": []}
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        if id(parameter) == last:
            kind = "head"
        elif parameter.ndim < 2:
            kind = "vectors"
        else:
            kind = "other" if id(parameter) in embeddings or id(parameter) == first else "matrices"
        groups[kind].append(parameter)
    return groups


def set_learning_rate(made: Sequence[torch.optim.Optimizer], factor: float) -> None:
    """Set every group to its peak rate times `factor`."""
    for optimizer in made:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor


def clip_gradients(parameters: Sequence[nn.Parameter], longest: float) -> float:
    """Shorten gradients that are together longer than `longest` (0: no limit); return how long they were."""
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if longest:
        nn.utils.clip_grads_with_norm_(parameters, longest, norm)
    return norm.item()
