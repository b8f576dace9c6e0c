"""From models of LightGBM, as it writes them down, to arrays of trees that decide alike.

LightGBM compares in double precision, and records come in single precision: thresholds are rounded down to it, which
changes no comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from torch import Tensor

CATEGORICAL, MISSING_LEFT, MISSING_SEEN = 1, 2, 8
"""Bits of a node's type: it looks at a category; a missing number goes left; some were missing in training (where none
was, a missing number is compared as zero)."""

WORD = 32
"""Categories that one number of a set speaks of."""

Lines = Mapping[str, str]

NOWHERE = float(np.finfo(np.float32).max)
"""No number is above it; infinity itself is no weight that a run may hold."""

STUMP = {"leaf_value": "0"}


def arrays_of(
    models: Sequence[str], cardinalities: Mapping[int, int], *, scale: float = 1.0, shift: float = 0.0
) -> dict[str, Tensor]:
    """Return the arrays (`engram.floors._trees.ARRAYS`) of models, whose trees take turns.

    cardinalities: of the features that are categories. scale, shift: what trees add up to is multiplied by the one, and
    the other is added.
    """
    root: list[int] = []
    nodes: list[tuple[Any, ...]] = []
    sets: list[np.ndarray] = [np.zeros(0, bool)]
    outputs = max(_outputs(model) for model in models) * len(models)
    for trees in zip_longest(*map(_trees, models), fillvalue=STUMP):
        for tree in trees:
            added = shift if len(root) < outputs else 0.0
            root.append(len(nodes))
            nodes += _nodes(tree, cardinalities, sets, begin=len(nodes), scale=scale, shift=added)
    feature, threshold, child, missing_right, set_begin, value = zip(*nodes, strict=True)
    return {
        "root": torch.tensor(root),
        "feature": torch.tensor(feature),
        "threshold": torch.from_numpy(rounded_down(np.array(threshold))),
        "child": torch.tensor(child),
        "missing_right": torch.tensor(missing_right),
        "set_begin": torch.tensor(set_begin),
        "value": torch.tensor(value, dtype=torch.float32),
        "right_set": torch.from_numpy(np.concatenate(sets)),
    }


def rounded_down(numbers: np.ndarray) -> np.ndarray:
    """Return the largest finite float32 that are not above some float64, or the least."""
    numbers = numbers.clip(-NOWHERE, NOWHERE)
    near = numbers.astype(np.float32)
    return np.where(near > numbers, np.nextafter(near, np.float32(-np.inf)), near)


def _outputs(model: str) -> int:
    """How many trees of a model make one round."""
    return int(model.split("num_tree_per_iteration=", 1)[1].split("\n", 1)[0])


def _trees(model: str) -> list[Lines]:
    """The trees of a model: of each, what its lines say by name."""
    blocks = model.split("\nTree=")[1:]
    lines = [block.split("\n\n")[0].splitlines()[1:] for block in blocks]
    return [dict(line.split("=", 1) for line in each if "=" in line) for each in lines]


def _nodes(
    tree: Lines,
    cardinalities: Mapping[int, int],
    sets: list[np.ndarray],
    *,
    begin: int,
    scale: float,
    shift: float,
) -> list[tuple[Any, ...]]:
    """The nodes of a tree, level after level, the children of one beside each other; sets of categories go to `sets`.

    begin: where the tree's nodes are to stand. LightGBM numbers leaves from -1 downwards.
    """
    feature, kind, left, right = (
        _whole(tree, n) for n in ("split_feature", "decision_type", "left_child", "right_child")
    )
    threshold, leaf = (_numbers(tree, name) for name in ("threshold", "leaf_value"))
    nodes: list[tuple[Any, ...]] = []
    queue = [0 if feature else -1]
    for number in queue:  # which grows on the way
        if number < 0:
            nodes.append((0, NOWHERE, begin + len(nodes), False, -1, leaf[~number] * scale + shift))
            continue
        child, at = begin + len(queue), threshold[number]
        queue += [left[number], right[number]]
        if kind[number] & CATEGORICAL:
            place = sum(map(len, sets))
            sets.append(_right(tree, int(at), cardinalities[feature[number]]))
            nodes.append((feature[number], NOWHERE, child, False, place, 0.0))
            continue
        missing_right = not kind[number] & MISSING_LEFT if kind[number] & MISSING_SEEN else at < 0
        nodes.append((feature[number], at, child, missing_right, -1, 0.0))
    return nodes


def _right(tree: Lines, number: int, cardinality: int) -> np.ndarray:
    """Whether each category goes right: those that are not in the set of this number."""
    first, last = _whole(tree, "cat_boundaries")[number : number + 2]
    words = _whole(tree, "cat_threshold")[first:last]
    left = [c // WORD < len(words) and words[c // WORD] >> c % WORD & 1 for c in range(cardinality)]
    return ~np.array(left, dtype=bool)


def _numbers(tree: Lines, name: str) -> list[float]:
    return [float(number) for number in tree.get(name, "").split()]


def _whole(tree: Lines, name: str) -> list[int]:
    return [int(number) for number in tree.get(name, "").split()]
