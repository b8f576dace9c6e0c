"""After training, where answers are numbers: floors compete, the winner gets intervals and learns what is unfamiliar.

Shapes: N examples, V values of an answer, D width of the last hidden layer.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from engram.api import competing
from engram.api.competing import Choice
from engram.api.looking import looked_at, some
from engram.api.reading import Reading
from engram.evaluate import conformal, unfamiliarity
from engram.evaluate.evaluation import Outputs, collect
from engram.models.delivered import hidden_width
from engram.models.delivered_number import DeliveredNumber
from engram.train.trainer import Trainer


def delivered_number(
    reading: Reading, trainer: Trainer, floors: Mapping[str, nn.Module], beside: Mapping[str, Outputs]
) -> tuple[DeliveredNumber, dict[str, Outputs], Choice | None]:
    """Wrap the network, perhaps with a floor, fit intervals and unfamiliarity; return it with its answers on
    validation rows."""
    task, rows = reading.task, reading.examples.splits
    module = DeliveredNumber(trainer.model, num_hidden=hidden_width(trainer.model))
    found_NV, hidden_ND, label_N = looked_at(module, trainer, some(rows["train"]))
    unfamiliarity.fit_spread(module, hidden_ND, label_N[:, None])
    found_NV, hidden_ND, label_N = looked_at(module, trainer, rows["val"])
    found_NV = found_NV.reshape(len(found_NV), -1)
    choice = competing.held(task, found_NV, {name: each.numbers for name, each in beside.items()}, label_N)
    value_N = found_NV[:, 0]
    if choice is not None and choice.chosen != "network":
        module.blend(floors[choice.floor], choice.floor, share=choice.share)
        floor_NV = beside[choice.floor].numbers
        assert floor_NV is not None, "what competes gives numbers"
        value_N = choice.share * value_N + (1 - choice.share) * floor_NV[:, 0]
    spread_N = found_NV[:, 1] if found_NV.shape[1] > 1 else None
    conformal.fit(value_N, spread_N, label_N).apply(module)
    hidden = torch.from_numpy(hidden_ND) if hidden_ND.size else None
    unfamiliarity.fit_threshold(module, module.distance(hidden, torch.from_numpy(found_NV)))
    module.to(trainer.device).eval()
    outputs = collect(task, module, reading.examples, rows["val"], precision=trainer.plan.precision)
    return module, {"val": outputs}, choice
