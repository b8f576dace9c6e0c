"""What the user brings in Python: a torch Dataset and a step of their own become examples and a task like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engram.api import reading
from engram.api.requests import DataRequest
from engram.core import events
from engram.core.deadline import Deadline
from engram.core.errors import ConfigError, DataError, RunError
from engram.data.dataset import DatasetExamples, default_collate, map_style
from engram.data.source.fingerprint import digest
from engram.data.table import Table
from engram.tasks.own_step import OwnFunction, OwnStep

SHARE = 0.1
"""Of the examples, for validation, where nobody says otherwise."""


@dataclass(frozen=True)
class Brought:
    """A step of the user's own, and what belongs to it; `step` None where there is none.

    step: (model, batch) -> the loss, a tensor that is the mean over the batch, or an `engram.Step`. metrics: engram's,
    or functions of (output, batch) -> a value per example, or one. validation: a data set, or the share of the given
    one that is set aside (a tenth). collate: list of examples -> batch (torch's default_collate). deterministic: the
    examples are the same each time, and are made once.
    """

    step: OwnFunction | None = None
    metrics: Sequence[Any] | None = None
    validation: Any = None
    collate: Any = None
    deterministic: bool = False

    def refuse_wrong(self, request: DataRequest, *, model: Any, task: str = "") -> None:
        """ConfigError for what does not go together. request: of reading tables. task: of the run that goes on."""
        if task == OwnStep().name and self.step is None:
            raise RunError(
                "the run was trained by a step of your own, which a run does not keep. Hand it over again, with its "
                "data and its network: engram.train(dataset, model=..., step=..., resume=RUN)"
            )
        if self.step is None:
            alone = {"metrics": self.metrics, "validation": self.validation, "collate": self.collate}
            alone["deterministic"] = self.deterministic or None
            if named := [name for name, value in alone.items() if value is not None]:
                raise ConfigError(
                    f"expected {' and '.join(named)} beside a step of your own; got no step. Hand it over "
                    "(step=FUNCTION), or leave that out: the tasks of engram bring their own."
                )
            return
        if not callable(self.step):
            raise ConfigError(f"expected a function (model, batch) as step; got {type(self.step).__name__}")
        if model is None:
            raise ConfigError("expected a network beside a step of your own; got none. Hand it over: model=MyNet().")
        if named := request.named():
            raise ConfigError(
                f"expected no {' and no '.join(named)} beside a step of your own, which says itself what is learned "
                "from what. Leave that out."
            )

    def read(self, data: Any, request: DataRequest, *, deadline: Deadline | None) -> reading.Reading:
        """Read data as a table for one of engram's tasks, or take a data set for the user's own step."""
        if self.step is None:
            return reading.read(data, request, deadline=deadline)
        seed, task = request.seed, OwnStep(self.step, self.metrics or ())
        examples = self._examples(data, seed)
        rows, notes = examples.splits, []
        fingerprint, repeatable = examples.fingerprint(seed=seed)
        if not repeatable:
            events.warn(
                "Examples differ each time they are made: their randomness is not that of torch, numpy.random or "
                "random, which are seeded here. A training that is stopped and goes on will not be exactly the same."
            )
        how = "kept in memory, as they are declared to be the same each time" if self.deterministic else "made anew"
        notes.append(f"Examples are {how}{'' if self.deterministic else ' in every epoch'}, and handed over unchanged.")
        if not hasattr(self.validation, "__getitem__"):
            notes.append(f"{len(rows['val']):,} of the examples, drawn at random, are set aside for validation.")
        for sentence in notes:
            events.note(sentence)
        if self.deterministic:
            with events.stage("reading"):
                examples.keep(seed=seed)
        table = Table({}, f"{type(data).__name__} in memory", digest("dataset", fingerprint))
        return reading.Reading(table, task, {}, examples, notes)

    def _examples(self, data: Any, seed: int) -> DatasetExamples:
        """Rows of the data set and of the one for validation, numbered one after the other."""
        sets = [map_style(data)]
        number = len(data)
        if hasattr(self.validation, "__len__") or hasattr(self.validation, "__iter__"):
            sets.append(map_style(self.validation))
            splits = {"train": np.arange(number), "val": np.arange(number, number + len(self.validation))}
        else:
            splits = divided(number, self.validation, seed=seed)
        return DatasetExamples({}, {}, splits, sets=sets, collate=self.collate or default_collate)


def divided(number: int, share: float | None, *, seed: int) -> dict[str, np.ndarray]:
    """Set a share of some rows aside for validation: which ones is a function of number, share and seed."""
    share = SHARE if share is None else share
    if not isinstance(share, int | float) or not 0 < share < 1:
        raise ConfigError(f"expected a data set for validation, or a share between 0 and 1; got {share!r}")
    if number < 2:
        raise DataError(f"expected examples to learn from and to validate on; got {number}. Give at least two.")
    order = np.random.default_rng([seed, number]).permutation(number)
    aside = min(number - 1, max(1, round(share * number)))
    return {"train": np.sort(order[aside:]), "val": np.sort(order[:aside])}
