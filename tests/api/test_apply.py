"""From findings to a mended training: inspect writes fixes, train applies them, compare says whether it helped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import tiny_run
from PIL import Image

import engram
from engram.api import fitting
from engram.core import events
from engram.core.errors import ConfigError, Stopped

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright corners in class folders; three of the training pictures lie in the wrong folder, one is a copy."""
    root = tmp_path_factory.mktemp("photos")
    for split, number, seed in (("train", 160, 1), ("test", 60, 2)):
        for row, (pixels, name) in enumerate(zip(*tiny_run.pictures(number, seed=seed), strict=True)):
            wrong = split == "train" and row in (10, 11, 12)
            told = tiny_run.NAMES[(tiny_run.NAMES.index(name) + wrong) % 4]
            (root / split / told).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / split / told / f"{row}.png")
    copied = next((root / "train").glob("*/20.png"))
    (copied.parent / "copy.png").write_bytes(copied.read_bytes())
    return root


@pytest.fixture(scope="module")
def fixes(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fixes") / "fixes.csv"
    found = engram.inspect(photos, steps=1, fixes=path)
    doubted = {line["where"].rpartition("/")[2] for line in found.fixes if line["new_label"]}
    assert {"10.png", "11.png", "12.png"} <= doubted and len(doubted) < 12
    assert all(line["action"] == "keep" for line in found.fixes if line["where"].startswith("test/"))
    assert [line["reason"].split()[1] for line in found.fixes if line["action"] == "drop"] == ["exact"]
    assert "doubtful_labels" in {finding.kind for finding in found.findings}
    return path


def test_a_view_has_its_own_fingerprint_and_the_same_test_rows(photos: Path, fixes: Path) -> None:
    before, after = (engram.inspect(photos, steps=1, apply=file).summary for file in (None, fixes))
    assert sum(after["rows"].values()) == sum(before["rows"].values()) - 1
    assert after["rows"]["test"] == before["rows"]["test"]
    with pytest.raises(ConfigError, match="already"):
        engram.inspect(photos, steps=1, fixes=fixes)


def test_training_on_the_view_is_recorded_resumed_and_compared(
    photos: Path, fixes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {path: path.read_bytes() for path in photos.rglob("*.png")}
    before = engram.train(photos, steps=30, out=tmp_path / "before")
    mine = tmp_path / "mine.csv"
    relabelled = fixes.read_text().count(",relabel,")
    mine.write_bytes(fixes.read_bytes())

    def stop(*_: object, **__: object) -> None:
        raise Stopped("asked", exit_code=130)

    with monkeypatch.context() as patched, pytest.raises(Stopped):
        patched.setattr(fitting, "deliver", stop)
        engram.train(photos, steps=30, out=tmp_path / "after", apply=mine)
    mine.unlink()
    told: list[dict] = []
    with events.listening(told.append):
        after = engram.train(resume=tmp_path / "after")
    recorded = json.loads((tmp_path / "after" / "run.json").read_text())["data"]
    assert recorded["fixes"]["relabel"] == relabelled and recorded["fixes"]["drop"] == 1
    assert recorded["fixes"]["sha256"] == hashlib.sha256((tmp_path / "after" / "fixes.csv").read_bytes()).hexdigest()
    plain = json.loads((tmp_path / "before" / "run.json").read_text())["data"]
    assert plain["fingerprint"] != recorded["fingerprint"] and plain["fixes"] is None
    (accuracy, *_) = engram.compare(before.run, after.run)["comparisons"]
    assert accuracy["num_examples"] == 60
    assert told[-1]["gain"] == {"against": before.run, **accuracy}
    report = (tmp_path / "after" / "report.html").read_text()
    assert accuracy["sentence"].split(":")[0] in report and f"{relabelled} have a new label" in report
    assert files == {path: path.read_bytes() for path in photos.rglob("*.png")}
    assert np.isfinite(after.metrics["accuracy"]["value"])
