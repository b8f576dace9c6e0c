"""Decision trees as arrays, evaluated for many rows and all trees at once.

A row starts at the root of every tree. In each round all rows go one step down in all trees: to the first child of
their node, or to the second, which stands behind it. A leaf is its own child, so that rounds which a short path does
not need change nothing.

Shapes: B rows, F places of a record, T trees, M nodes of all trees, S places of all sets of categories, C outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer

OF_NODES = {
    "feature": torch.int64,
    "threshold": torch.float32,
    "child": torch.int64,
    "missing_right": torch.bool,
    "set_begin": torch.int64,
    "value": torch.float32,
}
ARRAYS = {**OF_NODES, "root": torch.int64, "right_set": torch.bool}


class Trees(nn.Module):
    """Add up the leaves that records (B, F) come to: (B, C), where tree number i counts for output i modulo C.

    root: (T,) where trees begin. Of each node (M,): feature, threshold (numbers above it go to the second child),
    child (its first one), missing_right (whether a missing number goes to the second), set_begin (-1: a number is
    looked at; else where the node's set begins in `right_set` (S,), which says of each category whether it goes to the
    second), value (of a leaf). leaves: that trees were allowed in fitting. binary: the one output is the log-odds of
    the second of two classes.
    """

    root: Tensor
    feature: Tensor
    threshold: Tensor
    child: Tensor
    missing_right: Tensor
    set_begin: Tensor
    value: Tensor
    right_set: Tensor
    leaves: Tensor

    def __init__(
        self, outputs: int, *, binary: bool = False, trees: int = 0, nodes: int = 0, places: int = 0, depth: int = 0
    ) -> None:
        super().__init__()
        self.outputs, self.binary, self.depth = outputs, binary, depth
        for name, kind in ARRAYS.items():
            size = {"root": trees, "right_set": places}.get(name, nodes)
            # Trees of any number and size are taken where nobody says how many.
            empty: Any = torch.zeros(size, dtype=kind) if trees else UninitializedBuffer(dtype=kind)  # type: ignore[call-arg]
            self.register_buffer(name, empty)
        self.register_buffer("leaves", torch.zeros((), dtype=torch.int64))
        self.record: dict[str, Any] = {"arguments": {"outputs": outputs, "binary": binary}}

    @property
    def rounds(self) -> int:
        """How many trees there are for each output."""
        return len(self.root) // self.outputs

    def take(self, arrays: Mapping[str, Tensor]) -> Trees:
        """Become these arrays; ValueError where they are no trees."""
        for name, kind in ARRAYS.items():
            setattr(self, name, arrays[name].detach().to(kind).clone())
        self.depth = self._depth()
        sizes = {"trees": len(self.root), "nodes": len(self.child), "places": len(self.right_set), "depth": self.depth}
        self.record["arguments"] |= sizes
        return self

    def _depth(self) -> int:
        """How many steps the longest path has; ValueError unless there is an end to all of them."""
        number = len(self.child)
        inner = self.child != torch.arange(number)
        last = torch.where(inner, self.child + 1, self.child)
        lengths = {len(getattr(self, name)) for name in OF_NODES}
        if lengths != {number} or len(self.root) % self.outputs or not _within(last, number):
            raise ValueError("expected arrays of trees that fit one another")
        if not _within(self.root, number) or bool((self.child < torch.arange(number)).any()):
            raise ValueError("expected trees whose nodes stand before their children")
        depth, at = 0, self.root
        while len(at := at[inner[at]]):
            at = torch.cat([self.child[at], self.child[at] + 1]).unique()
            depth += 1
        return depth

    def forward(self, record_BF: Tensor) -> Tensor:
        """Return log-odds, or numbers (B, C)."""
        node_BT = self.root.expand(record_BF.shape[0], -1)
        for _ in range(self.depth):
            node_BT = self.child[node_BT] + self._goes_right(record_BF, node_BT).long()
        total_BC = self.value[node_BT].unflatten(1, (-1, self.outputs)).sum(1)
        return torch.cat([torch.zeros_like(total_BC), total_BC], 1) if self.binary else total_BC

    def _goes_right(self, record_BF: Tensor, node_BT: Tensor) -> Tensor:
        """Whether rows go to the second child; False in a leaf."""
        x_BT = record_BF.gather(1, self.feature[node_BT])
        right_BT = (x_BT > self.threshold[node_BT]) | (x_BT.isnan() & self.missing_right[node_BT])
        if not len(self.right_set):
            return right_BT
        begin_BT = self.set_begin[node_BT]
        place_BT = (begin_BT + x_BT.nan_to_num(0.0).long()).clamp(0, len(self.right_set) - 1)
        return (right_BT & (begin_BT < 0)) | (self.right_set[place_BT] & (begin_BT >= 0))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take trees of any number and size."""
        found = {name: state_dict[prefix + name] for name in ARRAYS if prefix + name in state_dict}
        if found.keys() == ARRAYS.keys():
            try:
                self.take(found)
            except ValueError as error:
                rest[-1].append(f"{prefix}{error}")
        super()._load_from_state_dict(state_dict, prefix, *rest)


def mean_of(several: Sequence[Trees]) -> Trees:
    """Return trees that say what several ensembles say in the mean: all their trees, each leaf counting less."""
    parts, node, place = [], 0, 0
    for each in several:
        own = {name: getattr(each, name) for name in ARRAYS}
        set_begin = torch.where(each.set_begin >= 0, each.set_begin + place, -1)
        moved = {"root": each.root + node, "child": each.child + node, "set_begin": set_begin}
        parts.append({**own, **moved, "value": each.value / len(several)})
        node, place = node + len(each.child), place + len(each.right_set)
    joined = Trees(several[0].outputs, binary=several[0].binary)
    joined.leaves.copy_(several[0].leaves)
    return joined.take({name: torch.cat([part[name] for part in parts]) for name in ARRAYS})


def _within(places: Tensor, number: int) -> bool:
    """Whether there are places, and all of them are from 0 to below a number."""
    return bool(len(places)) and int(places.min()) >= 0 and int(places.max()) < number
