"""Forecast: continue series of numbers, with intervals.

Shapes: B windows, H steps ahead, C columns, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from engram.core.answers import Forecasts
from engram.core.claim import Claim
from engram.core.evidence import Evidence
from engram.core.quantiles import QUANTILES
from engram.core.task import Batch, Sample, Step, Task, Worth
from engram.data.examples import Examples
from engram.data.series.panel import histories, looks_like_series
from engram.data.series.windows import SeriesWindows, over_histories
from engram.data.table import Table
from engram.features.series import Series
from engram.floors.naive import Naive
from engram.floors.ridge import Ridge
from engram.floors.seasonal_naive import SeasonalNaive
from engram.losses.pinball import pinball
from engram.metrics.forecast_coverage import ForecastCoverage
from engram.metrics.mae_in_units import MaeInUnits
from engram.metrics.mase import Mase
from engram.metrics.rmse_in_units import RmseInUnits
from engram.metrics.smape import Smape
from engram.metrics.standardised_mae import StandardisedMae
from engram.metrics.standardised_mse import StandardisedMse
from engram.metrics.weighted_quantile_loss import WeightedQuantileLoss
from engram.models import build
from engram.models.forecaster import WIDTHS


class Forecast(Task):
    """Continue series from their past, what is known in advance, and the calendar."""

    does: ClassVar = "continues series, and says how far off it may be"
    example: ClassVar = "window"
    inputs: ClassVar = {"series": Series}
    metrics = (
        StandardisedMse(),
        StandardisedMae(),
        RmseInUnits(),
        MaeInUnits(),
        Mase(),
        Smape(),
        ForecastCoverage(),
        WeightedQuantileLoss(),
    )
    floors: ClassVar = (Naive(), SeasonalNaive(), Ridge())
    answers: ClassVar = Forecasts()
    sizes: ClassVar = {  # a guess, not measured
        "medium": Worth(rows=30_000, passes=5, examples=1_000_000),
        "large": Worth(rows=300_000, passes=5, examples=5_000_000),
    }

    def matches(self, table: Table) -> Evidence:
        """A regular column of times, and otherwise numbers only."""
        why = looks_like_series(table)
        return Evidence(0.7 if why else 0.0, why or "it takes a column of regular times beside numbers")

    def arranged(
        self, table: Table, *, target: Any, inputs: Any, wishes: Mapping[str, Any], features: Any = None, **_: Any
    ) -> Table:
        """One row for each series."""
        fitted = features["series"] if features is not None else None
        return histories(table, target=target, inputs=inputs, wishes=wishes, fitted=fitted)

    def completed(self, answer: dict[str, Any], stored: Mapping[str, Any], features: Any) -> dict[str, Any]:
        """Say which series it is of, and the time of each step."""
        times = features.series.times_after(stored["series"])
        steps = [{"time": times[entry.pop("step") - 1], **entry} for entry in answer["forecast"]]
        called = stored["series"]["called"]
        return {**({"series": called} if called else {}), "forecast": steps}

    def examples(self, examples: Examples) -> SeriesWindows:
        """Windows of the series."""
        return over_histories(examples, role="series")

    def model(self, size: str, features: Any) -> nn.Module:
        """A linear shortcut beside a perceptron."""
        series = features.series
        return build.named(
            "forecaster", lookback=series.lookback, horizon=series.horizon, columns=len(series.targets),
            others=len(series.others), known=series.num_known, width=WIDTHS[size],
        )  # fmt: skip

    def most_passes(self, rows: int) -> float:
        """Windows overlap: each step is seen many times in one pass."""
        return 12

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Squared error of the expected value and pinball loss of the quantiles, both in units of training."""
        output_BHCA = model(batch.series)
        scale_B1C = batch.scale[:, None]
        known_BHC = batch.future.isfinite()
        future_BHC = batch.future.nan_to_num()
        error_BHC = ((output_BHCA[..., 0] - future_BHC) / scale_B1C).square()
        levels_Q = torch.tensor(QUANTILES, device=output_BHCA.device)
        quantile_BHC = pinball(output_BHCA[..., 1:], future_BHC, levels_Q).mean(-1) / scale_B1C
        loss_BHC = (error_BHC + quantile_BHC).masked_fill(~known_BHC, 0)
        return Step(loss_BHC.sum(), weight=known_BHC.sum(), output=output_BHCA)

    def predict(self, model: nn.Module, inputs: Batch, options: Any) -> Tensor:
        """Return (B, H, C, 1 + Q): the expected value, then the quantiles."""
        answer_BHCA: Tensor = model(inputs.series)
        return answer_BHCA

    def claim(self, model: nn.Module, example: Batch, features: Any) -> Claim:
        """The mean of what is forecast."""

        def scores(model: nn.Module, batch: Batch) -> Tensor:
            return self.predict(model, batch, self.options())[..., 0].double().mean((1, 2))[:, None]

        value = float(scores(model, example)[0, 0])
        return Claim(scores, 0, lambda _: f"{value:.4g} on average", log_odds=False)

    def decode(self, output: Tensor, features: Any, options: Any) -> list[dict[str, Any]]:
        """One forecast a history: for each step, and each column where there are several, value, low and high."""
        columns = features.series.targets
        return [{"forecast": _steps(answer_HCA, columns)} for answer_HCA in output.double()]

    @classmethod
    def sample(cls) -> Sample:
        """Made sales of three shops by day, in weeks, with a trend."""
        random = np.random.default_rng(0)
        days = np.arange("2020-01-01", "2021-09-30", dtype="datetime64[D]")
        week = np.array([5.0, 2.0, 0.0, 0.0, 3.0, 9.0, 7.0])
        data: dict[str, list[Any]] = {"date": [], "shop": [], "sales": []}
        for number, shop in enumerate(("north", "south", "west")):
            time = np.arange(len(days))
            sales = (20 + 10 * number + 0.02 * time + week[time % 7]) * (1 + 0.05 * random.standard_normal(len(days)))
            data["date"] += [str(day) for day in days]
            data["shop"] += [shop] * len(days)
            data["sales"] += sales.tolist()
        return Sample(data=data, score=0.5, options={"steps": 150, "horizon": 7, "lookback": 28})


def _steps(answer_HCA: Tensor, columns: list[str]) -> list[dict[str, Any]]:
    """The steps of one forecast, column by column."""
    found = []
    for number, column in enumerate(columns):
        for step, numbers in enumerate(answer_HCA[:, number].tolist(), start=1):
            value, low, high = numbers[0], numbers[1], numbers[-1]
            entry = {"step": step, "value": value, "low": min(low, high), "high": max(low, high)}
            found.append({"column": column, **entry} if len(columns) > 1 else entry)
    return found
