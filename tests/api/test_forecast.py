"""Forecasts from a table to answers: floors, blend, intervals, and what a run continues by itself."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars
import pytest
import torch

import engram
from engram.api import floors
from engram.api.delivery.forecasts import Answers, compete
from engram.api.reading import Reading, read
from engram.api.requests import DataRequest
from engram.core.errors import ConfigError, DataError
from engram.core.quantiles import QUANTILES
from engram.data import infer, source
from engram.evaluate.quantiles import correction
from engram.metrics.forecast_coverage import ForecastCoverage
from engram.metrics.mase import Mase
from engram.metrics.standardised_mse import StandardisedMse
from engram.metrics.weighted_quantile_loss import WeightedQuantileLoss
from engram.tasks.forecast import Forecast

WEEK = np.array([5.0, 2.0, 0.0, 0.0, 3.0, 9.0, 7.0])


def daily(number: int = 300, *, start: str = "2024-01-01", noise: float = 0.5) -> dict[str, Any]:
    first, place = np.datetime64(start), np.arange(number)
    random = np.random.default_rng(0)
    sales = 30 + 0.05 * place + WEEK[place % 7] + noise * random.standard_normal(number)
    return {"date": [str(first + int(day)) for day in place], "sales": sales.tolist()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("forecast") / "run"
    engram.train(daily(), task="forecast", horizon=7, lookback=28, steps=40, out=out, device="cpu")
    return out


@pytest.fixture(scope="module")
def reading() -> Reading:
    return read(daily(), DataRequest(task="forecast", wishes={"horizon": 7, "lookback": 28}))


def test_windows_of_a_split_forecast_its_own_steps_and_see_nothing_of_them(reading: Reading) -> None:
    windows = reading.examples
    counts = {name: len(rows) for name, rows in windows.splits.items()}
    assert counts == {"train": 240 - 28 - 7 + 1, "val": 30 - 7 + 1, "test": 30 - 7 + 1}
    batch = windows.batch(windows.splits["val"][:1])
    sales = np.array(daily()["sales"], np.float32)
    assert torch.equal(batch.series[0, :28, 0], torch.from_numpy(sales[240 - 28 : 240]))
    assert torch.equal(batch.future[0, :, 0], torch.from_numpy(sales[240:247]))
    assert (batch.series[0, 28:, 0] == 0).all(), "what is still to come is not told"
    assert batch.scale[0, 0] == pytest.approx(sales[:240].std(), rel=1e-3)
    assert windows.features["series"].season == 7


def test_floors_forecast_what_they_say(reading: Reading) -> None:
    fitted = floors.fit(reading, seconds=60)
    batch = reading.examples.batch(reading.examples.splits["test"])
    past = batch.series[:, :28, 0]
    naive, seasonal, ridge = (fitted[name](batch.series) for name in ("naive", "seasonal_naive", "ridge"))
    assert torch.equal(naive[:, :, 0, 0], past[:, -1:].expand(-1, 7))
    assert torch.equal(seasonal[:, :, 0, 0], past[:, -7:])
    errors = [float((found.detach()[..., 0] - batch.future).square().mean()) for found in (naive, seasonal, ridge)]
    assert errors[2] < errors[1] < errors[0] and errors[2] < 0.5
    assert (ridge[..., 1:].diff(dim=-1) >= 0).all()


def test_scores_are_those_of_the_literature() -> None:
    truth = torch.tensor([[[3.0], [5.0], [float("nan")]]])
    answer = torch.zeros(1, 3, 1, 1 + len(QUANTILES)) + 4.0
    answer[..., 1], answer[..., -1] = 3.5, 6.0
    batch = SimpleNamespace(future=truth, scale=torch.tensor([[2.0]]), season_step=torch.tensor([[0.5]]))

    def score(metric: Any) -> float:
        return metric.compute(metric.update(answer, batch))

    assert score(StandardisedMse()) == pytest.approx(0.25)
    assert score(Mase()) == pytest.approx(2.0)
    assert score(ForecastCoverage()) == pytest.approx(0.5)
    levels, quantiles = np.array(QUANTILES), answer[0, 0, 0, 1:].double().numpy()
    loss = [
        max(level * (y - q), (level - 1) * (y - q))
        for y in (3.0, 5.0)
        for level, q in zip(levels, quantiles, strict=True)
    ]
    assert score(WeightedQuantileLoss()) == pytest.approx(2 * sum(loss) / len(levels) / 8)


def test_quantiles_are_moved_until_they_hold_what_they_say() -> None:
    random = torch.Generator().manual_seed(0)
    truth = 3 * torch.randn(4000, 2, 1, generator=random) + 1
    normal = torch.distributions.Normal(0, 1).icdf(torch.tensor(QUANTILES))
    found = torch.cat([torch.zeros(1), normal]).expand(4000, 2, 1, -1)
    moved = correction(found, truth, torch.ones(4000, 1), independent=4000)
    width = found[..., -1:] - found[..., 1:2]
    share = (truth[..., None] <= found[..., 1:] + moved[:, None] * width).float().mean((0, 2))
    assert torch.allclose(share, torch.tensor(QUANTILES).expand(2, -1), atol=0.02)


def test_a_network_that_knows_nothing_is_left_out_and_a_good_one_counts() -> None:
    random = torch.Generator().manual_seed(0)
    truth = torch.randn(500, 4, 1, generator=random)
    off = torch.randn(500, 4, 1, 2, generator=random)
    floor = (truth[..., None] + off[..., :1]).expand(-1, -1, -1, 2)
    found = {"ridge": floor, "naive": floor * 5, "network": 50 + torch.zeros(500, 4, 1, 2)}
    assert compete(Answers(found, truth, torch.ones(500, 1)), ["naive", "ridge"], horizons=100).chosen == "floor"
    found["network"] = (truth[..., None] + off[..., 1:]).expand(-1, -1, -1, 2)
    choice = compete(Answers(found, truth, torch.ones(500, 1)), ["naive", "ridge"], horizons=1000)
    assert (choice.chosen, choice.floor) == ("blend", "ridge") and 0.4 <= choice.share <= 0.6


def test_what_is_delivered_is_not_below_the_floors(run: Path) -> None:
    scores = engram.evaluate(run)
    best = min(found["mse"]["value"] for found in scores["floors"].values())
    assert scores["metrics"]["mse"]["value"] <= 1.05 * best
    assert scores["metrics"]["coverage"]["value"] >= 0.7, "four horizons of validation place quantiles far out"
    assert scores["num_examples"] == 24


def test_a_run_continues_what_it_learned_from(run: Path) -> None:
    (answer,) = engram.predict(run)
    steps = answer["forecast"]
    assert answer["series"] == "sales"
    assert [step["time"] for step in steps] == [f"2024-10-{day}" for day in range(27, 32)] + [
        "2024-11-01",
        "2024-11-02",
    ]
    expected = 30 + 0.05 * np.arange(300, 307) + WEEK[np.arange(300, 307) % 7]
    assert np.abs(np.array([step["value"] for step in steps]) - expected).max() < 3
    assert all(step["low"] < step["value"] < step["high"] for step in steps)
    assert json.loads(json.dumps(answer)) == answer


def test_a_run_continues_newer_data_in_any_form(run: Path, tmp_path: Path) -> None:
    newer = daily(60, start="2025-01-06")
    path = tmp_path / "newer.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(newer)
        writer.writerows(reversed(list(zip(*newer.values(), strict=True))))
    (answer,) = engram.predict(run, str(path))
    assert answer["forecast"][0]["time"] == "2025-03-07"
    (same,) = engram.predict(run, newer)
    (framed,) = engram.load(run).predict(polars.DataFrame(newer))
    assert framed["forecast"] == same["forecast"] == answer["forecast"]
    (plain,) = engram.predict(run, [np.array(newer["sales"])[:, None]])
    assert [s["value"] for s in plain["forecast"]] == pytest.approx([s["value"] for s in same["forecast"]])
    scores = engram.evaluate(run, str(path))
    assert scores["num_examples"] == 60 - 28 - 7 + 1 and scores["metrics"]["mse"]["value"] < 1


def test_runs_that_look_back_differently_are_compared_on_the_same_windows(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    engram.train(daily(), task="forecast", horizon=7, lookback=14, steps=2, out=other, device="cpu")
    found = {one["metric"]: one for one in engram.compare(run, other)["comparisons"]}
    scores = [engram.evaluate(each)["metrics"] for each in (run, other)]
    assert "mse" in found and "coverage" not in found, "by coverage no forecast is better than another"
    for name, one in found.items():
        assert one["num_examples"] == 24
        assert [one["a"], one["b"]] == pytest.approx([each[name]["value"] for each in scores])


def test_forecasts_are_drawn_and_shown_in_the_report(run: Path, tmp_path: Path) -> None:
    engram.predict(run, draw=tmp_path / "forecast.html")
    drawn = (tmp_path / "forecast.html").read_text()
    assert "2024-10-27" in drawn and 'class="band accent"' in drawn
    report = (run / "report.html").read_text()
    assert "Forecasts beside what came" in report and "How errors grow" in report
    with pytest.raises(ConfigError, match=r"\.html"):
        engram.predict(run, draw=tmp_path / "forecast.png")


def test_what_is_known_in_advance_is_used_as_far_as_it_is_known(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    data = daily(400, noise=0.1)
    promotion = (random.random(400) < 0.2).astype(float)
    data["promotion"] = promotion.tolist()
    data["sales"] = (np.array(data["sales"]) + 20 * promotion).tolist()
    data["sales"][-7:] = [None] * 7
    out = tmp_path / "run"
    engram.train(data, task="forecast", known="promotion", horizon=7, lookback=28, steps=300, out=out, device="cpu")
    (answer,) = engram.predict(out)
    assert answer["forecast"][0]["time"] == data["date"][-7]
    module = engram.load(out).network.eval()
    window = torch.zeros(2, 35, 2)
    window[:, :28, 0] = torch.from_numpy(np.array(data["sales"][-35:-7], np.float32))
    window[:, :, 1] = torch.from_numpy(promotion[-35:].astype(np.float32))
    window[0, 28:, 1], window[1, 28:, 1] = 0, 1
    without, with_it = module(window)[..., 0].detach()
    assert float((with_it - without).mean()) > 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "whole number, 1 or more, for horizon"),
        ({"horizon": 200}, "smaller --horizon"),
        ({"horizen": 3}, "horizen"),
    ],
)
def test_wishes_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        read(daily(100), DataRequest(task="forecast", wishes=options))


def test_a_regular_table_of_numbers_is_a_forecast_and_others_are_not() -> None:
    assert read(daily(60)).task.name == "forecast"
    assert read(daily(60), DataRequest(target="sales")).task.name == "forecast", "nothing but the time could tell it"
    data = {**daily(60), "price": [float(n % 7) for n in range(60)]}
    asked = infer.narrowed(source.read(data, target="sales"), target="sales")
    assert not Forecast().matches(asked), "a number beside others is for the tasks of tables"
    assert not Forecast().matches(source.read({"date": ["2024-01-01"] * 30, "sales": [float(n) for n in range(30)]}))


def test_answers_are_printed_step_by_step(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from engram import console

    console.print_csv(engram.predict(run))
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 7 and list(rows[0]) == ["input", "series", "time", "value", "low", "high"]
    console.show_answers(engram.predict(run), ranked=False)
    assert "2024-10-27" in capsys.readouterr().out
