"""Every task's run is exported, to ONNX and to plain PyTorch, by the one way that there is."""

from __future__ import annotations

from pathlib import Path

import pytest

import engram
from engram.core.registry import find, names
from engram.core.task import Task

TASKS = {name: find("engram.tasks", name, base="task") for name in names("engram.tasks", base="task")}


@pytest.mark.slow
@pytest.mark.parametrize("task", [task for task in TASKS.values() if task.inputs])  # own_step's are its user's alone
def test_task(task: type[Task], tmp_path: Path) -> None:
    sample = task.sample()
    engram.train(sample.data, task=task().name, out=tmp_path / "run", device="cpu", steps=3)
    for to in ("onnx", "eject"):
        written = engram.export(tmp_path / "run", to=to, data=sample.data)
        assert written.proof is not None and written.proof.rows > 0
        assert f"Proved on {written.proof.rows} " in written.sentences()[1], "what is said is what was compared"
        assert max(written.proof.difference.values()) <= 1e-4, written.proof.difference
