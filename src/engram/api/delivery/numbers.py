"""Numbers: floors compete, the winner gets intervals and learns what is unfamiliar.

Shapes: N examples, V values of an answer, D width of the last hidden layer.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from engram.api import competing
from engram.api.delivery import keeping
from engram.api.delivery.kind import Answered, Exam, Fitted, Kind, Modules
from engram.api.delivery.trained import looked_at, some
from engram.api.reading import Reading
from engram.core.rundir import RunDirectory
from engram.evaluate import conformal, unfamiliarity
from engram.evaluate.evaluation import Outputs
from engram.models.delivered import hidden_width
from engram.models.delivered_number import DeliveredNumber
from engram.train.trainer import Trainer


class NumberKind(Kind):
    """Numbers with intervals."""

    def fit(self, reading: Reading, trainer: Trainer, floors: Modules) -> Fitted:
        """Wrap the network, perhaps with a floor, and fit intervals and unfamiliarity."""
        task, examples = reading.task, reading.examples
        exam, rows = Exam.of(reading, trainer, floors), examples.splits["val"]
        beside = exam.by_floors(rows)
        module = DeliveredNumber(trainer.model, num_hidden=hidden_width(trainer.model))
        found_NV, hidden_ND, label_N = looked_at(module, trainer, some(examples.splits["train"]))
        unfamiliarity.fit_spread(module, hidden_ND, label_N[:, None])
        found_NV, hidden_ND, label_N = looked_at(module, trainer, rows)
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
        val = Answered(exam.by(module, rows), beside, exam.by_network(module, rows))
        return Fitted(module, val, choice)

    def keep(self, run: RunDirectory, reading: Reading, outputs: Mapping[str, Outputs], modules: Modules) -> None:
        """Keep each answer, and some examples."""
        keeping.keep(run, reading, outputs)
