"""Texts are delivered as the network writes them, and kept beside what was asked and what they should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from engram.api.delivery.kind import Kind, Modules
from engram.api.reading import Reading
from engram.core.rundir import RunDirectory
from engram.evaluate import written
from engram.evaluate.evaluation import Outputs
from engram.features.text import text_of


class TextKind(Kind):
    """What is searched for takes long to be made, so that it is made once and kept."""

    def keep(self, run: RunDirectory, reading: Reading, outputs: Mapping[str, Outputs], modules: Modules) -> None:
        """Write down each text, scored by the last metric."""
        (source, *_), (target, *_) = reading.task.inputs, reading.task.target

        def texts(role: str) -> Callable[[np.ndarray], list[str]]:
            return lambda rows: [text_of(reading.examples.stored[role], int(row)) for row in rows]

        where, metric = reading.roles[source].where, reading.task.metrics[-1]
        written.write(run, outputs, metric, where=where, source=texts(source), target=texts(target))
