"""Windows: examples cut from histories, each a lookback and the horizon after it.

A window belongs to the split that all of its horizon lies in; its lookback may reach into the one before. Every step of
a history is an origin.

Shapes: B windows, L steps of the lookback, H of the horizon, C columns to forecast, F of all columns, N steps of all
histories together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engram.core.errors import DataError
from engram.data.examples import Examples, digests
from engram.features.series import TEST, TRAIN, VAL, Series

CODES = {"train": TRAIN, "val": VAL, "test": TEST}
MOST_SCORED = {"val": 2_000, "test": 50_000}
"""Windows that are scored, evenly taken where there are more."""


@dataclass
class SeriesWindows(Examples):
    """Examples that are windows: `batch.series` (B, L + H, F) and beside it what came after, for loss and scores.

    `batch.future` (B, H, C), NaN where nothing was measured; `batch.scale` and `batch.season_step` (B, C), the spread
    and the mean step from season to season of the series; `batch.position` (B,), where in its split a window stands.
    given: (N, F) what networks may be told of every step. truth: (N, C). origin: where each window's
    horizon begins in them; step: the same on the clock. series, position: of each window. scales: (series, 2, C).
    """

    role: str = "series"
    given: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    truth: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    origin: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    step: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    series: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    position: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    scales: np.ndarray = field(default_factory=lambda: np.zeros((0, 2, 0)))

    @property
    def feature(self) -> Series:
        """The feature that knows lookback and horizon."""
        found = self.features[self.role]
        assert isinstance(found, Series)
        return found

    @property
    def together(self) -> int:
        """Windows begin at every step, and their horizons overlap."""
        return self.feature.horizon

    def lengths(self, rows: np.ndarray) -> None:
        """All are alike."""
        return None

    def made(self, rows: np.ndarray, *, seed: int, epoch: np.ndarray) -> dict[str, Any]:
        """Cut some windows out of their histories."""
        import torch

        feature = self.feature
        place_BT = self.origin[rows, None] + np.arange(-feature.lookback, feature.horizon)
        series_BTF = self.given[place_BT]
        series_BTF[:, feature.lookback :, : feature.num_given] = 0
        scale_B2C = self.scales[self.series[rows]].astype(np.float32)
        tensors = {
            "series": series_BTF,
            "future": self.truth[place_BT[:, feature.lookback :]],
            "scale": scale_B2C[:, 0],
            "season_step": scale_B2C[:, 1],
            "position": self.position[rows],
        }
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in tensors.items()}

    def identity(self, rows: np.ndarray) -> np.ndarray:
        """What came, and when: however far a run looks back."""
        future_BT = self.origin[rows, None] + np.arange(self.feature.horizon)
        return digests(self.step[rows], self.truth[future_BT])

    def past(self, rows: np.ndarray, steps: int) -> np.ndarray:
        """The steps before some windows' horizons (B, steps, C)."""
        columns = len(self.feature.targets)
        return self.given[self.origin[rows, None] + np.arange(-steps, 0), :columns]

    def num_values(self) -> int:
        """Numbers of a window."""
        return int(np.prod(self.feature.shape))


def over_histories(examples: Examples, *, role: str) -> SeriesWindows:
    """Cut stored histories into windows. DataError where they are too short to learn from some and choose by others."""
    feature = examples.features[role]
    assert isinstance(feature, Series)
    chosen = np.unique(np.concatenate(list(examples.splits.values())))
    arrays = {name: [values[row] for row in chosen] for name, values in examples.stored[role].arrays.items()}
    sizes = np.array([len(values) for values in arrays["values"]])
    first = np.cumsum(sizes) - sizes
    splits, origins, series, position = {}, [], [], []
    count = 0
    for name in _splits_wanted(examples, arrays["part"]):
        found = [
            (number, int(first[number]) + _origins(part, observed, feature, CODES[name]))
            for number, (part, observed) in enumerate(zip(arrays["part"], arrays["observed"], strict=True))
        ]
        origin = np.concatenate([places for _, places in found])
        owner = np.concatenate([np.full(len(places), number) for number, places in found])
        if len(origin) > MOST_SCORED.get(name, len(origin)):
            even = np.linspace(0, len(origin) - 1, MOST_SCORED[name]).astype(np.int64)
            origin, owner = origin[even], owner[even]
        splits[name] = np.arange(count, count + len(origin))
        count += len(origin)
        origins.append(origin)
        series.append(owner)
        position.append(_positions(origin - first[owner]))
    _refuse_short(splits, sizes, feature)
    truth = [
        np.where(seen, values[:, : seen.shape[1]], np.nan).astype(np.float32)
        for values, seen in zip(arrays["values"], arrays["observed"], strict=True)
    ]
    scales = [feature.scales(name, values) for name, values in zip(arrays["called"], arrays["values"], strict=True)]
    given = [feature.given_calendar(v, int(s)) for v, s in zip(arrays["values"], arrays["start"], strict=True)]
    owner, origin = np.concatenate(series), np.concatenate(origins)
    starts = np.array([int(start) for start in arrays["start"]])
    return SeriesWindows(
        examples.features,
        examples.stored,
        {name: rows for name, rows in splits.items() if len(rows)},
        role=role,
        given=np.concatenate(given),
        truth=np.concatenate(truth),
        origin=origin,
        step=origin - first[owner] + starts[owner],
        series=owner,
        position=np.concatenate(position),
        scales=np.stack(scales),
    )


def _splits_wanted(examples: Examples, parts: Sequence[np.ndarray]) -> list[str]:
    """All where there is something to learn from; else the test alone, as for an evaluation."""
    return list(CODES) if "train" in examples.splits else ["test"]


def _origins(part: np.ndarray, observed: np.ndarray, feature: Series, code: int) -> np.ndarray:
    """First steps of horizons that lie in one part and hold something measured, with a whole lookback before them."""
    ahead, back = feature.horizon, feature.lookback
    origin = np.arange(back, len(part) - ahead + 1)
    if not len(origin):
        return origin
    wrong = np.concatenate([[0], np.cumsum(part != code)])
    seen = np.concatenate([[0], np.cumsum(observed.any(1))])
    return origin[(wrong[origin + ahead] == wrong[origin]) & (seen[origin + ahead] > seen[origin])]


def _positions(steps: np.ndarray) -> np.ndarray:
    """Where in time windows stand among those of their split, from 0 to below 1."""
    low, high = (steps.min(), steps.max() + 1) if len(steps) else (0, 1)
    return ((steps - low) / (high - low)).astype(np.float32)


def _refuse_short(splits: dict[str, np.ndarray], sizes: np.ndarray, feature: Series) -> None:
    lacking = [name for name in splits if not len(splits[name]) and name != "test"] or (
        ["test"] if list(splits) == ["test"] and not len(splits["test"]) else []
    )
    if lacking:
        needed = feature.lookback + feature.horizon
        raise DataError(
            f"expected series that hold {needed} steps ({feature.lookback} back and {feature.horizon} ahead) with some "
            f"left for {' and '.join(lacking)}; the longest has {int(sizes.max())}. Give a smaller --horizon or "
            "--lookback, or a longer series."
        )
