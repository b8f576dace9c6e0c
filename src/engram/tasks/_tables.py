"""What all tasks that learn from rows of a table share: input, network, how long it learns, floors.

Shapes: B examples, K members of the network, C outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from engram.core.evidence import Evidence
from engram.core.task import Sample, Task, Worth
from engram.data.series.panel import looks_like_series
from engram.data.table import Column, Table
from engram.features.record import Record
from engram.floors.boosted_trees import BoostedTrees
from engram.floors.floor import Floor
from engram.floors.linear_on_record import LinearOnRecord
from engram.models import build
from engram.models.table_net import TableNet, sized
from engram.tasks._columns import columns_of

NUMBERS = 0.5
"""With more evidence than this, a column holds numbers that are no classes."""

MOST_PASSES = {"softmax": 25, "sigmoid": 25, "number": 80}
"""Training ends after so many passes: classes are soon learned by heart, numbers say more of each row. A guess from
runs of 10 (adult) and 40 passes (california_housing), at whose ends both still gained."""

MANY_ROWS = 5_000
"""Of fewer rows, passes are fewer in proportion: a few hundred are learned by heart in 450 steps, where after 150 the
network is better than either floor (LOG.md, 2026-11-26)."""


class TableTask(Task):
    """What is learned from records. kind: of what is learned, "softmax", "sigmoid" or "number"."""

    inputs: ClassVar = {"record": Record}
    kind: ClassVar[str] = "softmax"
    balances: ClassVar = False
    least_steps: ClassVar = 150
    usual_share: ClassVar = (0.5, 0.2)
    sizes: ClassVar = {  # a guess, not measured
        "medium": Worth(rows=5_000, passes=25, examples=4_000_000),
        "large": Worth(rows=100_000, passes=20, examples=20_000_000),
    }

    def matches(self, table: Table) -> Evidence:
        """A target that is named, or plainly called a label, beside columns that are no pictures and no mere text."""
        columns = columns_of(table)
        if columns is None:
            return Evidence(0.0, "its rows are not made of plain columns")
        if columns.target is None:
            return Evidence(0.0, "nobody says which column is to be predicted")
        label = self.judged(columns.target)
        if not label or not columns.many:
            return Evidence(0.0, label.reason if not label else f"beside {columns.target.name} there is only a text")
        if why := looks_like_series(table):
            return Evidence(0.3, f"{why}, so that nothing but the time could tell {columns.target.name}")
        beside = f"{len(columns.plain) + len(columns.texts):,} columns beside it"
        return Evidence(0.8, f"{columns.target.name} has {label.reason}, and there are {beside}")

    def judged(self, target: Column) -> Evidence:
        """Say how well a column suits as the target."""
        return self.target["label"].matches(target)

    def model(self, size: str, features: Any) -> nn.Module:
        """A network of many members, which gives one logit per label, or a number and how far off it may be."""
        record, label = features.record, features.label
        network = build.named(
            "table_net",
            kind=self.kind,
            num_numbers=record.num_numbers,
            num_categories=len(record.cardinalities),
            num_codes=sum(record.cardinalities),
            num_classes=getattr(label, "size", 1),
            **sized(size),
        )
        assert isinstance(network, TableNet)
        size_of = {"mean": label.mean, "spread": label.spread} if self.kind == "number" else {}
        network.know(record.cardinalities, **size_of)
        return network

    def most_passes(self, rows: int) -> float:
        """Fewer for classes, and for few rows."""
        return MOST_PASSES[self.kind] * min(1.0, rows / MANY_ROWS)


def floors(kind: str, simplest: Floor) -> tuple[Floor, ...]:
    """What a network for tables has to beat."""
    return (simplest, LinearOnRecord(kind=kind), BoostedTrees(kind=kind))


def members_of(model: nn.Module, record_BF: Tensor) -> tuple[Tensor, Tensor]:
    """Return the answer of each member (B, K, C), and of all together (B, C); a network of another kind has one."""
    if isinstance(model, TableNet):
        members_BKC = model.members(record_BF)
        return members_BKC, model.together(members_BKC)
    output_BC = model(record_BF)
    output_BC = output_BC[:, None] if output_BC.ndim == 1 else output_BC
    return output_BC[:, None], output_BC


def member_losses(loss: Callable[[Tensor, Tensor], Tensor], members_BKC: Tensor, label: Tensor) -> Tensor:
    """Return the mean over members of their losses (B,)."""
    number = members_BKC.shape[1]
    loss_N = loss(members_BKC.flatten(0, 1), label.repeat_interleave(number, 0))
    return loss_N.view(-1, number).mean(1)


def table_sample(target: str) -> Sample:
    """Made rows of sizes, weights and colours. target: what they have of these, "label", "labels" or "number"."""
    random = np.random.default_rng(0)
    size, weight = random.normal(size=(2, 400)).round(3)
    colour = random.choice(["red", "green", "blue"], 400)
    far = size * np.where(colour == "red", -1, 1) > 0
    names = np.where(far, "far", "near")
    columns = {"size": size.tolist(), "weight": weight.tolist(), "colour": colour.tolist()}
    if target == "number":
        number = 10 + 2 * size * np.where(colour == "red", -1, 1) + weight / 2
        return Sample({**columns, "label": number.round(3).tolist()}, score=0.8, options={"steps": 200})
    heavy = [[str(name), *(["heavy"] if heavy else [])] for name, heavy in zip(names, weight > 0, strict=True)]
    labels = heavy if target == "labels" else names.tolist()
    return Sample({**columns, "label": labels}, score=0.9, options={"steps": 200})
