"""Number: what a regression predicts, in the user's units.

Shapes: N or B rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import DataError, RunError
from engram.core.evidence import Evidence, Finding
from engram.features._fields.digests import of
from engram.features.category import LABEL_NAMES
from engram.features.feature import Arrays, Feature, Whole

if TYPE_CHECKING:
    from torch import Tensor

FEW = 20
"""Numbers of so few different values may as well be classes."""


class Number(Feature):
    """A number. mean, spread (standard deviation), low, high: of the training rows; networks need its size.

    whole: whether all training values are whole numbers.
    """

    def __init__(self) -> None:
        self.mean, self.spread, self.low, self.high, self.whole = 0.0, 1.0, 0.0, 0.0, False

    @classmethod
    def matches(cls, column: Any) -> Evidence:
        """Many different numbers."""
        if column.kind != "number":
            return Evidence(0.0, f"its values are of kind {column.kind}")
        number, whole = _counted(column.values)
        if not number:
            return Evidence(0.0, "it is empty")
        said = f"{number:,} different numbers"
        if number > FEW or not whole:
            named = column.name.lower().strip() in LABEL_NAMES
            return Evidence(0.9 if named else 0.6, said)
        return Evidence(0.2, f"{said}, which may be classes")

    def store(self, value: Any) -> dict[str, np.ndarray]:
        """Return {"number": float64}. DataError where it is missing, infinite or no number."""
        try:
            number = math.nan if value is None else float(value)
        except (TypeError, ValueError):
            raise DataError(f"expected a number; got {value!r}") from None
        if not math.isfinite(number):
            raise DataError("the number is missing" if number != number else "the number is infinite")
        return {"number": np.array(number)}

    def store_all(self, column: Any) -> Whole | None:
        """Store all numbers at once, where they are packed."""
        series = getattr(column.values, "series", None)
        if series is None or not (series.dtype.is_numeric()):
            return None
        numbers = series.to_numpy().astype(np.float64)
        wrong = np.flatnonzero(~np.isfinite(numbers)).tolist()
        missing = series.is_null().to_numpy()
        problems = {row: "the number is missing" if missing[row] else "the number is infinite" for row in wrong}
        return Whole({"number": numbers}, of(numbers[:, None], []), problems)

    def fit(self, stored: Any, rows: np.ndarray) -> None:
        """Learn mean, spread and range."""
        numbers = stored.gather(rows)["number"]
        self.mean, self.spread = float(np.mean(numbers)), float(np.std(numbers)) or 1.0
        self.low, self.high = float(np.min(numbers)), float(np.max(numbers))
        self.whole = bool((numbers == np.round(numbers)).all())

    def encode(self, gathered: Arrays, views: Any = None) -> Tensor:
        """Return float32 (B,) in the user's units."""
        import torch

        return torch.from_numpy(np.asarray(gathered["number"], np.float32).reshape(-1))

    def decode(self, encoded: Tensor) -> list[float]:
        """Return numbers."""
        return [float(value) for value in encoded.tolist()]

    def check(self, stored: Any, rows: np.ndarray) -> list[Finding]:
        """One value only, or the rows' numbers, from which nothing can be learned."""
        known = np.unique(stored.gather(rows)["number"]) if len(rows) else np.zeros(0)
        if len(known) == len(rows) > FEW and known[-1] - known[0] == len(known) - 1:
            message = "expected a target that says something of rows; this one numbers them: every row has another"
            return [Finding("error", "id_target", message, fix="Check which column holds the target")]
        if len(known) > 1:
            return []
        only = f" ({known[0]:g})" if len(known) else ""
        message = f"expected a target of different numbers; there is one value{only}" if len(known) else "no target"
        return [Finding("error", "one_value", message, fix="Check which column holds the target")]

    def summary(self, stored: Any, rows: np.ndarray) -> dict[str, Any]:
        """Range, mean and spread."""
        return {"least": self.low, "most": self.high, "mean": self.mean, "spread": self.spread}

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Mean, spread, range."""
        return {name: getattr(self, name) for name in ("mean", "spread", "low", "high", "whole")}, {}

    def load_state(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take them back; RunError if they are no numbers."""
        for name in ("mean", "spread", "low", "high"):
            value = values.get(name)
            if not isinstance(value, int | float) or not math.isfinite(value) or (name == "spread" and value <= 0):
                raise RunError(f"the saved {name} of a number is damaged: got {value!r}")
            setattr(self, name, float(value))
        self.whole = values.get("whole") is True


def _counted(values: Any) -> tuple[int, bool]:
    """How many different numbers there are, and whether all are whole."""
    if hasattr(values, "num_distinct"):
        return values.num_distinct, values.whole
    known = {value for value in values if value is not None}
    return len(known), all(float(value).is_integer() for value in known if math.isfinite(value))
