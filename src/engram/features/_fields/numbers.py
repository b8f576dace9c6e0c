"""Numbers: each is put where its rank among the training rows' would stand in a normal distribution.

Ranks are robust against outliers and heavy tails, and networks learn best from numbers of about one size. The way
there is strictly monotone, so that trees lose nothing: straight between a few hundred knots, and beyond the first and
the last one logarithmic, so that what was never seen is clipped smoothly.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import DataError, RunError
from engram.core.parts import Course
from engram.features._fields.field import Field, is_missing, saved

if TYPE_CHECKING:
    import polars

MOST_KNOTS = 256

COURSE, BINS, OUTERMOST = 21, 20, 0.01
"""Numbers along a column, bins of its distribution, and the share of rows at either end that neither shows."""
FITTED_ON = 200_000
"""Numbers from which ranks are learned; more would give the same knots."""


class NumberField(Field):
    """A number. Infinities count as missing; the doctor names them."""

    kind = "number"

    def __init__(self, name: str, *, reason: str = "", optional: bool = False) -> None:
        super().__init__(name, reason=reason, optional=optional)
        self.scale = Scale()

    def read(self, series: polars.Series) -> np.ndarray:
        """Return float64 (N,); infinities stay."""
        import polars

        if series.dtype == polars.String:
            found = {text: self.read_one(text) for text in series.drop_nulls().unique().to_list()}
            series = series.replace_strict(list(found), list(found.values()), default=None, return_dtype=polars.Float64)
        return series.cast(polars.Float64).fill_null(np.nan).to_numpy()

    def read_one(self, value: Any) -> float:
        """Return the number, or NaN; of a span of time its seconds."""
        if is_missing(value):
            return np.nan
        try:
            return float(value.total_seconds() if hasattr(value, "total_seconds") else value)
        except (TypeError, ValueError):
            raise DataError(f"expected a number for {self.name}; got {value!r}") from None

    def fit(self, stored: np.ndarray) -> None:
        """Learn the ranks."""
        self.scale.fit(stored)

    def encode(self, stored: np.ndarray) -> np.ndarray:
        """Return the normal score of each number (N, 1)."""
        return self.scale.encode(stored)[:, None]

    def decode(self, encoded_NP: np.ndarray) -> list[Any]:
        """Return the numbers, with as few digits as tell them apart."""
        numbers = self.scale.decode(encoded_NP[:, 0])
        for digits in (9, 6):
            shorter = np.array([float(f"{value:.{digits}g}") for value in numbers.tolist()])
            numbers = np.where(self.scale.encode(shorter) == encoded_NP[:, 0], shorter, numbers)
        return [None if value != value else value for value in numbers.tolist()]

    def course(self) -> Course | None:
        """Numbers from one end to the other."""
        values, edges, shares = self.scale.course()
        return Course(values.tolist(), self.encode(values), edges.tolist(), shares.tolist())

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The knots."""
        return {}, self.scale.state()

    def load_state(self, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take back the knots."""
        self.scale.load_state(arrays)

    def schema(self) -> dict[str, Any]:
        """A number."""
        return {"type": ["number", "null"] if self.optional else "number"}

    def example(self) -> float:
        """The number in the middle."""
        return float(self.scale.middle)

    def summary(self, stored: np.ndarray) -> str:
        """Least, middle, most."""
        known = stored[np.isfinite(stored)]
        low, middle, high = np.quantile(known, (0, 0.5, 1)).tolist() if len(known) else (np.nan,) * 3
        return f"{_said(low)} to {_said(high)}, half of them up to {_said(middle)}"


class Scale:
    """From numbers to normal scores and back, by knots."""

    def __init__(self) -> None:
        self.knots = np.array([0.0, 1.0])
        self.heights = np.array([0.0, 1.0])

    @property
    def middle(self) -> float:
        """A knot in the middle."""
        return float(self.knots[len(self.knots) // 2])

    def fit(self, numbers: np.ndarray) -> None:
        """Learn where the ranks of finite numbers stand; equal numbers have the middle of their ranks."""
        numbers = numbers[np.isfinite(numbers)]
        step = 1 + len(numbers) // FITTED_ON
        kept = numbers[::step] if step == 1 else np.concatenate([numbers[::step], [numbers.min(), numbers.max()]])
        values, counts = np.unique(kept, return_counts=True)
        if not len(values):
            return
        share = (np.cumsum(counts) - counts / 2) / counts.sum()
        if len(values) > MOST_KNOTS:
            chosen = np.searchsorted(share, np.linspace(share[0], share[-1], MOST_KNOTS))
            chosen = np.unique(np.concatenate([[0], np.minimum(chosen, len(values) - 1), [len(values) - 1]]))
            values, share = values[chosen], share[chosen]
        heights = np.array([NormalDist().inv_cdf(one) for one in share.tolist()])
        if len(values) == 1:
            values, heights = np.array([values[0], values[0] + max(1.0, abs(values[0]))]), np.array([0.0, 1.0])
        self.knots, self.heights = values.astype(np.float64), heights

    def encode(self, numbers: np.ndarray) -> np.ndarray:
        """Return float32 scores; NaN for what is not finite."""
        (first, last), (low, high), (before, after) = self.knots[[0, -1]], self.heights[[0, -1]], self._slopes()
        scores = np.interp(numbers, self.knots, self.heights)
        below, above = numbers < first, numbers > last
        scores[below] = low - np.log1p(before * (first - numbers[below]))
        scores[above] = high + np.log1p(after * (numbers[above] - last))
        scores[~np.isfinite(numbers)] = np.nan
        return scores.astype(np.float32)

    def decode(self, scores: np.ndarray) -> np.ndarray:
        """Return float64 numbers for scores."""
        scores = scores.astype(np.float64)
        low32, high32 = self.heights[[0, -1]]
        (first, last), (before, after) = self.knots[[0, -1]], self._slopes()
        numbers = np.interp(scores, self.heights, self.knots)
        with np.errstate(invalid="ignore", over="ignore"):
            numbers = np.where(scores < low32, first - np.expm1(low32 - scores) / before, numbers)
            numbers = np.where(scores > high32, last + np.expm1(scores - high32) / after, numbers)
        return np.where(np.isfinite(scores), numbers, np.nan)

    def _slopes(self) -> tuple[float, float]:
        """How fast scores begin to change before the first and after the last knot: as over the whole range."""
        slope = float((self.heights[-1] - self.heights[0]) / (self.knots[-1] - self.knots[0]))
        return slope, slope

    def course(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return numbers along the range of training rows, dense where these are; edges of bins, and shares in them.

        The outermost hundredths are left out: a few far numbers would stretch the range.
        """
        rank = np.array([NormalDist().cdf(height) for height in self.heights.tolist()])
        inner = np.linspace(max(OUTERMOST, rank[0]), min(1 - OUTERMOST, rank[-1]), COURSE)
        by_rank = np.interp(inner, rank, self.knots)
        edges = np.linspace(by_rank[0], by_rank[-1], BINS + 1)
        values = self.knots if len(self.knots) <= COURSE else np.concatenate([by_rank[::2], edges[::2]])
        shares = np.diff(np.interp(edges, self.knots, rank))
        return np.unique(values), edges, shares / max(shares.sum(), 1e-12)

    def state(self) -> dict[str, np.ndarray]:
        """Knots and heights."""
        return {"knots": self.knots, "heights": self.heights}

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back knots and heights; RunError unless both rise."""
        knots, heights = (saved(arrays, name, axes=1).astype(np.float64) for name in ("knots", "heights"))
        if len(knots) != len(heights) or len(knots) < 2 or (np.diff(knots) <= 0).any() or (np.diff(heights) <= 0).any():
            raise RunError("the saved knots of a column are damaged: expected rising numbers")
        self.knots, self.heights = knots, heights


def _said(number: float) -> str:
    return f"{number:,.0f}" if 1e5 <= abs(number) < 1e15 else f"{number:,.5g}"
