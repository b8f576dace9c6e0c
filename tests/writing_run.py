"""Tiny runs that write: a network that has learned nothing, saved as training saves."""

from __future__ import annotations

import numpy as np
import torch

from engram.core.rundir import RunDirectory
from engram.data.store import prepare
from engram.data.table import Column
from engram.features import saved
from engram.features.text import Text
from engram.features.turns import Turns
from engram.models import build

TALKS = [[("user", "how are you"), ("assistant", "fine, thank you")], [("user", "what?"), ("assistant", "a bird")]] * 4
TEXTS = ["a dog sees the cat at night.", "no man wants your fish."] * 4


def make(path, *, converses: bool = True, context: int = 64) -> RunDirectory:
    """Write a run of conversations or of texts, of bytes as tokens."""
    torch.manual_seed(0)
    values, kind, feature = (TALKS, "turns", Turns(tokenizer="bytes")) if converses else (TEXTS, "text", Text())
    stored = prepare(Column("text", values, kind), feature)
    feature.fit(stored, np.arange(len(values)))
    network = build.named("decoder", vocabulary=feature.size, context=context, width=32, layers=1, heads=2)
    run = RunDirectory(path).create()
    saved.save(run, {"text": feature}, {"text": "text"})
    run.write_arrays("model.safetensors", {key: value.numpy() for key, value in network.state_dict().items()})
    task = "conversation" if converses else "language_modelling"
    run.seal(status="done", task=task, network=network.record, delivered={}, plan={})
    return run
