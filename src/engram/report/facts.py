"""Everything that the report tells, read once from the run directory."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from engram.core.errors import EngramError
from engram.core.rundir import RunDirectory
from engram.core.task import Batch, Task
from engram.evaluate import predictions, written
from engram.explain import kept
from engram.predict.opening import task_of
from engram.predict.predictor import Predictor, load
from engram.report import words

if TYPE_CHECKING:
    import numpy as np
    import polars

SECONDS = 8.0
"""Time that a report takes at most, about, where nobody says otherwise."""


@dataclass
class Facts:
    """A run, opened. record: run.json. seconds: to be spent on all of it.

    network_missing: why there is no predictor, in a sentence. example: one encoded, to send through the network;
    None where the run keeps one itself.
    """

    run: RunDirectory
    record: dict[str, Any]
    task: Task
    predictor: Predictor | None
    network_missing: str = ""
    seconds: float = SECONDS
    example: Batch | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds left."""
        return self.seconds - (time.monotonic() - self.began)

    @property
    def results(self) -> dict[str, Any]:
        """Split -> scores, as `engram.evaluate.evaluation.evaluate` gives them."""
        return self.record.get("results") or {}

    @property
    def split(self) -> str:
        """The split that the headline speaks of: test, or validation where there is no test set."""
        return "test" if "test" in self.results else "val"

    @property
    def result(self) -> dict[str, Any]:
        """The scores of that split; empty where nothing was scored."""
        return self.results.get(self.split) or {}

    @property
    def metric(self) -> str:
        """The name of the first metric that has a score."""
        known = self.result.get("metrics") or {}
        return next((m.name for m in self.task.metrics if m.name in known), next(iter(known), ""))

    @property
    def higher_is_better(self) -> bool:
        """Whether more is better by the first metric."""
        return next((m.higher_is_better for m in self.task.metrics if m.name == self.metric), True)

    @property
    def plan(self) -> dict[str, Any]:
        """The plan as it was recorded."""
        return self.record.get("plan") or {}

    @property
    def data(self) -> dict[str, Any]:
        """What was recorded of the data."""
        return self.record.get("data") or {}

    @cached_property
    def names(self) -> list[str]:
        """The names of the classes, in the order of the outputs."""
        if self.predictor is not None:
            feature = self.predictor.features.get(next(iter(self.task.target), ""))
            return list(getattr(feature, "names", ()))
        return [entry["label"] for entry in self.result.get("per_class") or ()]

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """The events of metrics.jsonl; a last line that a crash cut short is left out."""
        path = self.run / "metrics.jsonl"
        found = []
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else ():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return [event for event in found if isinstance(event, dict)]

    @cached_property
    def answers(self) -> polars.DataFrame | None:
        """The kept answers to the examples of the headline's split; None where there are none."""
        if not (self.run / predictions.FILE).is_file():
            return None
        frame = predictions.read(self.run)
        return frame.filter(frame["split"] == self.split)

    @cached_property
    def doubtful(self) -> list[int]:
        """Row numbers of the answers whose labels are in doubt, the most doubtful first."""
        return predictions.doubtful(self.run)["row"].to_list() if (self.run / predictions.FILE).is_file() else []

    @cached_property
    def kept(self) -> kept.Kept | None:
        """The pictures or texts that the run keeps; None where it keeps none."""
        return kept.read(self.run)

    @property
    def pictures(self) -> np.ndarray | None:
        """The kept pictures (M, H, W, C); None where none are kept."""
        return self.kept.pictures if self.kept is not None else None

    @property
    def thing(self) -> str:
        """What one example is: a picture, a text, a row."""
        return next((str(feature.thing) for feature in self.task.inputs.values()), "example")

    @property
    def things(self) -> str:
        """What examples are: pictures, texts, rows."""
        return words.plural(self.thing)

    @property
    def scored(self) -> str:
        """What is learned from and scored, in the plural: pictures, windows, users."""
        return words.plural(self.task.example or self.thing)

    @property
    def single(self) -> bool:
        """Whether kept examples have one class each, and it is known which."""
        kept = self.kept
        known = kept is not None and kept.label is not None and kept.label.ndim == 1
        return known and self.task.answers.are_logits and bool(self.names)

    def label_of(self, place: int) -> str:
        """The label, or labels, of a kept example in words."""
        assert self.kept is not None and self.kept.label is not None
        label = self.kept.label[place]
        if not self.task.answers.are_logits:
            return f"{float(label):,.4g}"
        if label.ndim:
            return ", ".join(name for name, yes in zip(self.names, label, strict=False) if yes > 0.5) or "none"
        return self.names[int(label)] if 0 <= int(label) < len(self.names) else "unknown"

    @cached_property
    def encoded(self) -> Batch | None:
        """One example as the network sees it: a kept one, or that which was handed over."""
        kept, predictor = self.kept, self.predictor
        if predictor is None or self.example is not None:
            return self.example
        if kept is not None:
            return self.windows(1) if kept.tokens is not None else predictor.encode([kept.values[0]])
        if (frame := written.read(self.run)) is not None and len(frame):
            return self._as_written(frame.row(0, named=True))
        known = {role: predictor.features[role].remembered(1) for role in self.task.inputs}
        return predictor.encode([{role: some[0] for role, some in known.items()}]) if all(known.values()) else None

    def _as_written(self, entry: dict[str, Any]) -> Batch:
        """A source with its target, encoded."""
        import numpy as np

        assert self.predictor is not None
        features, roles = self.predictor.features, (*self.task.inputs, *self.task.target)
        gathered = self.predictor.gather([{role: features[role].store(entry[role]) for role in roles}], roles)
        return Batch(rows=np.arange(1), **{role: features[role].encode(values) for role, values in gathered.items()})

    def windows(self, number: int) -> Batch:
        """The first kept windows of running text, but for the last token of each, after which nothing is asked."""
        import numpy as np
        import torch

        assert self.kept is not None and self.kept.tokens is not None
        text = torch.from_numpy(self.kept.tokens[:number, :-1])
        return Batch(rows=np.arange(len(text)), **{next(iter(self.task.inputs)): text})

    @cached_property
    def texts(self) -> list[str]:
        """The kept texts, or pieces of running text; none where examples are something else."""
        kept = self.kept
        if kept is None or kept.tokens is None or self.predictor is None:
            return [] if kept is None else kept.texts or []
        feature = self.predictor.features[next(iter(self.task.inputs))]
        return ["".join(feature.pieces(ids)) for ids in kept.tokens.tolist()]

    @cached_property
    def even(self) -> list[int]:
        """Places of kept examples of the headline's split that stand for all of it, in an order without order."""
        import numpy as np

        assert self.kept is not None
        random = np.random.default_rng(0)
        places = [place for place, row in enumerate(self.kept.rows) if self._scored(int(row))]
        if self.kept.even is not None:
            return random.permutation([place for place in places if self.kept.even[place]]).tolist()
        return random.permutation(places).tolist()

    def _scored(self, row: int) -> bool:
        return row in self.known and self.known[row]["split"] == self.split

    @cached_property
    def known(self) -> dict[int, dict[str, Any]]:
        """Row number -> its answer, for the rows whose examples are kept, of any split."""
        if self.kept is None or not (self.run / predictions.FILE).is_file():
            return {}
        frame = predictions.read(self.run)
        columns = [c for c in frame.columns if not c.startswith("probability of ") and not c.startswith("top_")]
        chosen = frame.select(columns).filter(frame["row"].is_in(self.kept.rows.tolist()))
        return {entry["row"]: entry for entry in chosen.iter_rows(named=True)}


def gather(
    run: RunDirectory, *, seconds: float | None, predictor: Predictor | None, example: Batch | None = None
) -> Facts:
    """Open a run for the report. A network that cannot be opened is named as missing; RunError for other damage."""
    began = time.monotonic()
    record = run.read_run()
    task, missing = task_of(record, run), ""
    if predictor is None:
        try:
            predictor = load(run)
        except EngramError as error:
            missing = str(error)
    task = task if predictor is None else predictor.task
    return Facts(run, record, task, predictor, missing, SECONDS if seconds is None else seconds, example, began)
