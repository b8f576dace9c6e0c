"""forecasts.safetensors: some forecasts of a run beside what came, and how far off each part is at each step ahead.

Shapes: N windows, M of them kept, P steps of the past that are kept, H steps ahead, C columns, A numbers of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from engram.core.rundir import RunDirectory
from engram.data.series.windows import SeriesWindows

FILE = "forecasts.safetensors"
ERROR = "error/"
KEPT, COLUMNS, PAST = 6, 4, 3
"""Windows and columns that are kept; of the past, so many times the horizon."""


@dataclass(frozen=True)
class Kept:
    """past (M, P, C), truth (M, H, C), answer (M, H, C, A), and step (M,), the first of each horizon on the clock.

    series: which one each window is of. errors: module's name -> mean squared error in units of training by step (H,).
    """

    past: np.ndarray
    truth: np.ndarray
    answer: np.ndarray
    step: np.ndarray
    series: np.ndarray
    errors: dict[str, np.ndarray]


def keep_forecasts(
    run: RunDirectory,
    windows: SeriesWindows,
    rows: np.ndarray,
    found: Mapping[str, Tensor],
    truth_NHC: Tensor,
    scale_NC: Tensor,
) -> None:
    """Write some windows, evenly taken, with the answers of the first module, and the errors of all."""
    some = np.unique(np.linspace(0, len(rows) - 1, KEPT).astype(np.int64))
    first, ahead = next(iter(found.values())), truth_NHC.shape[1]
    past = windows.past(rows[some], min(PAST * ahead, windows.feature.lookback))
    arrays = {
        "past": past[..., :COLUMNS],
        "truth": truth_NHC[some, :, :COLUMNS].numpy(),
        "answer": first[some][:, :, :COLUMNS].numpy(),
        "step": windows.step[rows[some]],
        "series": windows.series[rows[some]],
    }
    for name, answer_NHCA in found.items():
        off_NHC = (answer_NHCA[..., 0] - truth_NHC) / scale_NC[:, None]
        arrays[ERROR + name] = off_NHC.double().square().nanmean((0, 2)).nan_to_num().numpy()
    run.write_arrays(FILE, {name: np.ascontiguousarray(values) for name, values in arrays.items()})


def read(run: RunDirectory) -> Kept | None:
    """Read what a run keeps; None where it keeps no forecasts."""
    if not (run / FILE).is_file():
        return None
    arrays = run.read_arrays(FILE)
    errors = {name.removeprefix(ERROR): values for name, values in arrays.items() if name.startswith(ERROR)}
    return Kept(**{name: arrays[name] for name in ("past", "truth", "answer", "step", "series")}, errors=errors)
