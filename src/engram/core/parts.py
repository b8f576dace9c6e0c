"""Parts: what one value consists of, and how some of it is taken away. Features say it; explanations ask with it.

Shapes: K variants, P parts, G windows.
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
