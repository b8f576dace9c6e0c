"""A tiny run, made by hand: bright squares in four corners, a network that finds them, saved as training saves."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from engram.core.rundir import RunDirectory
from engram.data.examples import Examples
from engram.data.store import prepare
from engram.data.table import Column
from engram.evaluate import calibration, unfamiliarity
from engram.features import saved
from engram.features.category import Category
from engram.features.image import Image
from engram.models import build
from engram.models.delivered import Delivered, hidden_width
from engram.tasks.image_classification import ImageClassification

NAMES = ["bottom left", "bottom right", "top left", "top right"]


def pictures(number: int, *, seed: int = 0, noise: int = 60) -> tuple[np.ndarray, list[str]]:
    """Grey pictures (number, 16, 16) with a bright square in one corner, and where it is."""
    random = np.random.default_rng(seed)
    x, labels = random.integers(0, noise, (number, 16, 16)).astype(np.uint8), []
    for picture in x:
        name = NAMES[random.integers(4)]
        top, left = (1 if "top" in name else 9), (1 if "left" in name else 9)
        picture[top : top + 6, left : left + 6] += 150
        labels.append(name)
    return x, labels


def examples(number: int = 400, *, seed: int = 0) -> Examples:
    """Fitted and split examples of such pictures: 60 % train, 20 % val, 20 % test."""
    x, labels = pictures(number, seed=seed)
    columns = {"image": Column("image", x, "array"), "label": Column("label", labels, "text")}
    features = {"image": Image(channels=1, size=(16, 16)), "label": Category()}
    stored = {role: prepare(column, features[role]) for role, column in columns.items()}
    ends = [0, int(0.6 * number), int(0.8 * number), number]
    splits = {name: np.arange(a, b) for name, a, b in zip(("train", "val", "test"), ends, ends[1:], strict=False)}
    for role, feature in features.items():
        feature.fit(stored[role], splits["train"])
    return Examples(features, stored, splits)


class Net(nn.Module):
    """Small enough to learn this in two seconds."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(16, 12), nn.ReLU())
        self.head = nn.Linear(12, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def trained(data: Examples, *, steps: int = 60) -> Net:
    """A network that has learned the training rows."""
    torch.manual_seed(0)
    network, batch = Net(), data.batch(data.splits["train"])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(batch.image), batch.label).backward()
        optimizer.step()
    return network.eval()


def delivered(network: nn.Module, *, num_outputs: int = 4) -> Delivered:
    """The network, not calibrated yet."""
    return Delivered(network, num_outputs=num_outputs, num_hidden=hidden_width(network)).eval()


def fit(module: Delivered, data: Examples) -> calibration.Calibration:
    """Calibrate on validation rows, and learn what is familiar."""
    with torch.no_grad():
        train, val = (data.batch(data.splits[name]) for name in ("train", "val"))
        _, hidden = module.hidden(lambda m: m(train.image))
        unfamiliarity.fit_spread(module, hidden, train.label)
        logits, hidden = module.hidden(lambda m: m(val.image))
        unfamiliarity.fit_threshold(module, module.distance(hidden, logits))
    fitted = calibration.fit(logits, val.label, kind="softmax")
    fitted.apply(module)
    return fitted


def begun(path) -> RunDirectory:
    """A run whose training has only begun, with all that run.json must say for it to go on."""
    run = RunDirectory(path).create()
    plan = {"optimizer": {}, "views": ["plain"], "threads": 1, "seed": 0, "steps": 9}
    options = {"data": "nowhere", "budget": None, "after": 1.0, "most_steps": 9}
    facts = {"task": ImageClassification().name, "network": {"name": "conv_net"}, "data": {"fingerprint": "f"}}
    run.seal(status="training", plan=plan, options=options, before_seconds=1.0, **facts)
    return run


def save(path, data: Examples, module: Delivered) -> RunDirectory:
    """Write what training leaves of a run with a network of the user's own."""
    run = RunDirectory(path).create()
    network = build.from_user(type(module.network), offered={"num_classes": 4})
    record = {key: value for key, value in network.record.items() if key != "path"}
    saved.save(run, data.features, {role: role for role in data.features})
    run.write_arrays("model.safetensors", {key: value.numpy() for key, value in module.state_dict().items()})
    facts = {"task": ImageClassification().name, "network": record, "delivered": module.record(), "plan": {}}
    run.seal(status="done", **facts)
    return run
