"""A run of every release is kept (`kept/make.py`), opens in this one, and answers as it did when it was made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import engram
from engram.core.rundir import FORMAT
from engram.evaluate import predictions
from engram.explain import kept as shown

RUNS = sorted(path.parent for path in (Path(__file__).parent / "kept").glob("*/run.json"))


def test_this_format_has_a_run() -> None:
    assert FORMAT in {engram.load(run).run.read_run()["format"] for run in RUNS}


@pytest.mark.parametrize("run", RUNS, ids=[run.name for run in RUNS])
def test_a_kept_run_opens_and_answers_as_it_did(run: Path) -> None:
    assert sum(path.stat().st_size for path in run.rglob("*")) < 200_000
    predictor = engram.load(run)
    kept = shown.read(predictor.run)
    assert kept is not None and kept.pictures is not None
    said = {row["row"]: row for row in predictions.read(predictor.run).iter_rows(named=True)}
    answers = predictor.predict(list(kept.pictures))
    for row, answer in zip(kept.rows.tolist(), answers, strict=True):
        assert answer["label"] == said[row]["predicted"]
        assert np.isclose(answer["probability"], said[row]["probability"], atol=0.02)  # half precision, elsewhere
    assert engram.evaluate(run)["metrics"]["accuracy"]["value"] > 0.9
