"""Labels: floors compete, the winner is calibrated and learns what is unfamiliar.

Shapes: N examples, C classes, D width of the last hidden layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import torch

from engram.api import competing
from engram.api.delivery import keeping
from engram.api.delivery.kind import Answered, Exam, Fitted, Kind, Modules
from engram.api.delivery.trained import looked_at, plain, some
from engram.api.reading import Reading
from engram.core.rundir import RunDirectory
from engram.evaluate import calibration, unfamiliarity
from engram.evaluate.evaluation import Outputs, collect
from engram.models.delivered import Delivered, hidden_width, view_weights
from engram.train.trainer import Trainer


class LabelKind(Kind):
    """Logits, of one label or of several."""

    def fit(self, reading: Reading, trainer: Trainer, floors: Modules) -> Fitted:
        """Wrap the network, perhaps with a floor, and fit calibration and unfamiliarity."""
        task, examples, kind = reading.task, reading.examples, reading.task.answers.calibration or ""
        exam = Exam.of(reading, trainer, floors)
        network, rows = trainer.model, examples.splits
        train_rows, beside = some(rows["train"]), exam.by_floors(rows["val"])
        num_outputs = int(plain(trainer, trainer.load(train_rows[:1])).shape[1])
        probe = Delivered(network, num_outputs=num_outputs, num_hidden=hidden_width(network))
        _, hidden_ND, label = looked_at(probe, trainer, train_rows)
        unfamiliarity.fit_spread(probe, hidden_ND, label)
        plain_NC, hidden_ND, label = looked_at(probe, trainer, rows["val"])
        probe.to(trainer.device)
        logits_NC, fitted = plain_NC, calibration.fit(plain_NC, label, kind=kind)
        if len(views := trainer.plan.views) > 1:
            several_NC = _with_views(probe, reading, trainer, plain_NC)
            with_views = calibration.fit(several_NC, label, kind=kind)
            better = with_views.loss_after <= fitted.loss_after
            if better:
                logits_NC, fitted = several_NC, with_views
            probe.look_at(views if better else ("plain",))
        choice = competing.held(task, logits_NC, {name: found.logits for name, found in beside.items()}, label)
        if choice is not None and choice.chosen != "network":
            probe.blend(floors[choice.floor], choice.floor, share=choice.share, temperatures=choice.temperatures)
            floor_NC = beside[choice.floor].logits
            assert floor_NC is not None, "what competes gives logits"
            logits_NC = competing.blended(logits_NC, floor_NC, choice.share, choice.temperatures)
            fitted = calibration.fit(logits_NC, label, kind=kind)
        fitted.apply(probe)
        calibrated = torch.from_numpy((logits_NC / fitted.temperature + fitted.bias).astype(np.float32))
        hidden = torch.from_numpy(hidden_ND) if hidden_ND.size else None
        probe.to("cpu")
        unfamiliarity.fit_threshold(probe, probe.distance(hidden, calibrated))
        strange_N = probe.unfamiliarity(hidden, calibrated).numpy()
        probe.to(trainer.device).eval()
        batch = SimpleNamespace(label=torch.from_numpy(label))
        statistics = {metric.name: metric.update(calibrated, batch) for metric in task.metrics}
        scored = Outputs(rows["val"], calibrated.numpy(), label=label, unfamiliarity=strange_N, statistics=statistics)
        return Fitted(probe, Answered(scored, beside, exam.by_network(probe, rows["val"])), choice)

    def keep(self, run: RunDirectory, reading: Reading, outputs: Mapping[str, Outputs], modules: Modules) -> None:
        """Keep each answer, and some examples."""
        keeping.keep(run, reading, outputs)


def _with_views(probe: Delivered, reading: Reading, trainer: Trainer, plain_NC: np.ndarray) -> np.ndarray:
    """The logits (N, C) of validation rows over the plan's views, of which the first, the plain one, is known."""
    views, rows = trainer.plan.views, reading.examples.splits["val"]
    probe.look_at(views[1:])
    others = collect(reading.task, probe, reading.examples, rows, metrics=(), precision=trainer.plan.precision)
    assert others.logits is not None, "what is calibrated so gives logits"
    known = view_weights(views)[0]
    return known * plain_NC + (1 - known) * others.logits
