"""After training, where outputs are logits: floors compete, the winner is calibrated and learns what is unfamiliar.

Shapes: N examples, C classes, D width of the last hidden layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from engram.api import competing
from engram.api.competing import Choice
from engram.api.looking import looked_at, plain, some
from engram.api.reading import Reading
from engram.evaluate import calibration, unfamiliarity
from engram.evaluate.evaluation import Outputs, collect
from engram.models.delivered import Delivered, hidden_width, view_weights
from engram.train.trainer import Trainer


def calibrated(
    reading: Reading,
    trainer: Trainer,
    floors: Mapping[str, nn.Module],
    beside: Mapping[str, Outputs],
    *,
    kind: str,
) -> tuple[Delivered, dict[str, Outputs], Choice | None]:
    """Wrap the network, perhaps with a floor, fit calibration and unfamiliarity; return it with its answers on
    validation rows."""
    task, examples = reading.task, reading.examples
    network, rows = trainer.model, examples.splits
    train_rows = some(rows["train"])
    num_outputs = int(plain(trainer, trainer.load(train_rows[:1])).shape[1])
    probe = Delivered(network, num_outputs=num_outputs, num_hidden=hidden_width(network))
    _, hidden_ND, label = looked_at(probe, trainer, train_rows)
    unfamiliarity.fit_spread(probe, hidden_ND, label)
    plain_NC, hidden_ND, label = looked_at(probe, trainer, rows["val"])
    probe.to(trainer.device)
    views: tuple[str, ...] = ("plain",)
    logits_NC = plain_NC
    fitted = calibration.fit(plain_NC, label, kind=kind)
    if len(trainer.plan.views) > 1:
        several_NC = _with_views(probe, reading, trainer, plain_NC)
        with_views = calibration.fit(several_NC, label, kind=kind)
        if with_views.loss_after <= fitted.loss_after:
            views, logits_NC, fitted = trainer.plan.views, several_NC, with_views
        probe.look_at(views)
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
    probe.to(trainer.device)
    batch = SimpleNamespace(label=torch.from_numpy(label))
    statistics = {metric.name: metric.update(calibrated, batch) for metric in task.metrics}
    scored = Outputs(rows["val"], calibrated.numpy(), label=label, unfamiliarity=strange_N, statistics=statistics)
    return probe.eval(), {"val": scored}, choice


def _with_views(probe: Delivered, reading: Reading, trainer: Trainer, plain_NC: np.ndarray) -> np.ndarray:
    """The logits (N, C) of validation rows over the plan's views, of which the first, the plain one, is known."""
    views, rows = trainer.plan.views, reading.examples.splits["val"]
    probe.look_at(views[1:])
    others = collect(reading.task, probe, reading.examples, rows, metrics=(), precision=trainer.plan.precision)
    assert others.logits is not None, "what is calibrated gives logits"
    known = view_weights(views)[0]
    return known * plain_NC + (1 - known) * others.logits
