"""Fitted features go through the run directory, and what is hostile in it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engram.core.errors import RunError
from engram.core.rundir import RunDirectory
from engram.data.store import prepare
from engram.data.table import Column
from engram.features import saved
from engram.features.category import Category
from engram.features.image import Image


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run").create()


@pytest.fixture
def features(tmp_path: Path) -> dict[str, Any]:
    pictures = np.random.default_rng(0).integers(0, 256, (6, 10, 12, 3), dtype=np.uint8)
    columns = {"image": Column("picture", pictures, "array"), "label": Column("kind", list("abcabc"), "text")}
    made = {"image": Image.survey(columns["image"]), "label": Category()}
    for role, feature in made.items():
        feature.fit(prepare(columns[role], feature, cache=tmp_path), np.arange(6))
    return made


def test_back_and_forth(run: RunDirectory, features: dict[str, Any]) -> None:
    saved.save(run, features, {"image": "picture", "label": "kind"})
    loaded = saved.load(run)
    assert saved.load_columns(run) == {"image": "picture", "label": "kind"}
    assert loaded["label"].names == ["a", "b", "c"]
    gathered = {"pixels": np.zeros((2, 10, 12, 3), np.uint8)}
    assert torch.equal(loaded["image"].encode(gathered), features["image"].encode(gathered))
    assert sorted(p.name for p in run.path.iterdir()) == ["features.json", "features.safetensors"]


HOSTILE = [
    [],
    "x",
    {"image": []},
    {"image": {"feature": "os.system"}},
    {"image": {"feature": "../../etc/passwd"}},
    {"image": {"feature": "saved"}},
    {"image": {"feature": "feature"}},
    {"image": {"feature": "_pixels"}},
    {"image": {"feature": ["image"]}},
    {"image": {"feature": None}},
    {"image": {"feature": "image", "config": []}},
    {"image": {"feature": "image", "config": {"channels": "; rm"}}},
    {"image": {"feature": "image", "config": {"__class__": "x"}}},
    {"image": {"feature": "image", "config": {"size": 5}}},
    {"image": {"feature": "image", "version": 99}},
    {"image": {"feature": "image", "state": {"size": [10**9, 10**9]}}},
    {"image": {"feature": "image", "state": {"size": [10, 12]}}},
    {"label": {"feature": "category", "state": {"names": [["a"]]}}},
    {"label": {"feature": "category", "state": None}},
    {"label": {"feature": "categories", "config": {"separator": 3}, "state": {}}},
]


@pytest.mark.parametrize("content", HOSTILE, ids=str)
def test_hostile_files_are_refused(run: RunDirectory, content: Any) -> None:
    run.write_arrays(saved.ARRAYS, {"other/mean": np.zeros(1, np.float32)})
    (run / saved.JSON).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(RunError):
        saved.load(run)


@pytest.mark.parametrize("name", [saved.JSON, saved.ARRAYS])
def test_missing_and_damaged_files(run: RunDirectory, features: dict[str, Any], name: str) -> None:
    saved.save(run, features, {})
    content = (run / name).read_bytes()
    for damaged in (b"", content[: len(content) // 2], b"\xff" + content):
        (run / name).write_bytes(damaged)
        with pytest.raises(RunError):
            saved.load(run)
    (run / name).unlink()
    with pytest.raises(RunError, match="missing"):
        saved.load(run)
