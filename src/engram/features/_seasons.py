"""Seasons: after how many steps a series repeats itself.

Shapes: N steps, C columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LOOKED_AT = 20
"""Series that are asked, evenly taken: all of a table's mostly share their seasons."""

LAGS = 24
LEAST_LAG, LEAST_CORRELATION = 3, 0.3
WORTH = 0.9
"""Repeating the last season has to err by less than this share of what the last value does, over one season ahead."""


def season_of(series: Sequence[np.ndarray], candidates: Sequence[int]) -> int:
    """Return the lag (in steps) by which repeating the values (N, C) errs least; 1 where no season shows.

    candidates: what the clock suggests. Beside them, the strongest lag of the autocorrelation is tried.
    """
    if not series:
        return 1
    some = [series[place] for place in np.unique(np.linspace(0, len(series) - 1, LOOKED_AT).astype(int))]
    lags = {lag for lag in candidates if lag > 1} | {lag for values in some[:5] if (lag := _strongest(values)) > 1}
    errors = {lag: _error(some, [lag]) for lag in sorted(lags)}
    ahead = {lag: np.unique(np.linspace(1, lag, LAGS).astype(int)).tolist() for lag in errors}
    shown = {lag: error for lag, error in errors.items() if error < WORTH * _error(some, ahead[lag])}
    return min(shown, key=lambda lag: shown[lag], default=1)


def _error(series: Sequence[np.ndarray], lags: Sequence[int]) -> float:
    """The mean difference at some lags, in units of each column's spread; infinite where most series are too short."""
    found = [_difference(values, lags) for values in series if len(values) >= 2 * max(lags) + 1]
    return float(np.mean(found)) if 2 * len(found) > len(series) else np.inf


def _difference(values: np.ndarray, lags: Sequence[int]) -> float:
    there = np.isfinite(values)
    mean = np.where(there, values, 0).sum(0) / np.maximum(there.sum(0), 1)
    spread = np.sqrt(
        np.where(there, np.square(np.where(there, values, 0) - mean), 0).sum(0) / np.maximum(there.sum(0), 1)
    )
    off = np.concatenate([np.abs(values[lag:] - values[:-lag]) / np.maximum(spread, 1e-12) for lag in lags])
    known = np.isfinite(off)
    return float(off[known].mean()) if known.any() else np.inf


def _strongest(values: np.ndarray) -> int:
    """The lag at which the autocorrelation has its highest peak; 1 where there is none to speak of."""
    column = values[:, 0]
    place, known = np.arange(len(column)), np.isfinite(column)
    if len(column) < 4 * LEAST_LAG or not known.any():
        return 1
    column = np.interp(place, place[known], column[known])
    column = column - np.polyval(np.polyfit(place, column, 1), place)
    correlation = np.fft.irfft(np.abs(np.fft.rfft(column, 2 * len(column))) ** 2)[: len(column) // 3]
    if len(correlation) <= LEAST_LAG + 1 or correlation[0] <= 0:
        return 1
    correlation = correlation / correlation[0] * len(column) / (len(column) - np.arange(len(correlation)))
    inner = correlation[LEAST_LAG:-1]
    peaks = (inner > correlation[LEAST_LAG - 1 : -2]) & (inner >= correlation[LEAST_LAG + 1 :])
    best = int(np.argmax(np.where(peaks, inner, -np.inf)))
    return best + LEAST_LAG if peaks.any() and inner[best] > LEAST_CORRELATION else 1
