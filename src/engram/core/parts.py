"""Parts: what one value consists of, how some of it is taken away, and along what it may vary.

Features say it; explanations ask with it.

Shapes: K variants, P parts, or places of a column; G windows, or values along a column.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class Parts:
    """One value, taken apart.

    kind: "pixels", "words", "columns" or "items", by which they are drawn. whole: the value as it is shown. names: of
    the P parts. places: where each is: (P, 4) top, bottom, left and right; (P, 2) first and last character; or (P, 0).
    encode: of marks (bool (K, P)), K encoded values without the marked parts. windows: (G, P) bool, parts that are
    taken away together in turn. belongs: for an axis of so many positions within a network, the part (-1: none) that
    each is of. shares: of numbers that lie as encoded values do, the sums over each part (K, P); None where encoded
    values are no numbers that can be changed a little.
    """

    kind: str
    whole: Any
    names: list[str]
    places: np.ndarray
    encode: Callable[[np.ndarray], Tensor]
    windows: np.ndarray
    belongs: dict[int, np.ndarray] = field(default_factory=dict)
    shares: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Course:
    """Values along a column, from one end of what was learned from to the other, or the commonest names.

    values: (G,) numbers or names. encoded: float32 (G, P), as the P places of the column hold them. edges, shares: of
    numbers, between which edges which share of the rows that were learned from lies. unit: what numbers count, "" for
    the column's own.
    """

    values: list[Any]
    encoded: np.ndarray
    edges: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    unit: str = ""


@dataclass(frozen=True)
class Axis:
    """One column of an encoded value. places: where it lies (P,). course: None for one whose values have no order."""

    name: str
    places: np.ndarray
    course: Course | None = None
